%% A child that fails to start again is tried until it starts or it is too much.
-module(a_restart_that_fails_is_tried_again).
-include("supervised.hrl").

main() ->
    watch(),
    register(keeper, spawn(fun() -> answers([ok, no, no, ok]) end)),
    {ok, Sup} = supervise(#{intensity => 3},
                          [#{id => a, start => {?MODULE, start_maybe, []}}]),
    up(a),
    die(a, crash),
    up(a),
    trace(children(Sup)).

answers([A | As]) ->
    receive {ask, From} -> From ! {answer, A}, answers(As) end;
answers([]) -> ok.

start_maybe() ->
    keeper ! {ask, self()},
    receive {answer, ok} -> start_worker(a);
            {answer, no} -> trace(refused), {error, not_now}
    end.
