%% Failed restarts count as restarts.
-module(restarts_that_fail_too_often_end_the_supervisor).
-include("supervised.hrl").

main() ->
    watch(),
    register(keeper, spawn(fun() -> answers([ok, no, no, no, no]) end)),
    {ok, Sup} = supervise(#{intensity => 2},
                          [child(z), #{id => a, start => {?MODULE, start_maybe, []}}]),
    up(a),
    die(a, crash),
    receive {'EXIT', Sup, Why} -> trace({supervisor, Why}) end.

answers([A | As]) ->
    receive {ask, From} -> From ! {answer, A}, answers(As) end;
answers([]) -> ok.

start_maybe() ->
    keeper ! {ask, self()},
    receive {answer, ok} -> start_worker(a);
            {answer, no} -> trace(refused), {error, not_now}
    end.
