%% A supervisor stops its children whatever they end with.
-module(a_child_may_end_otherwise_as_it_is_stopped).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [child(a), #{id => odd, start => {?MODULE, start_odd, []}}, child(d)]),
    [up(X) || X <- [a, d]],
    trace(supervisor:terminate_child(Sup, odd)),
    {ok, _} = supervisor:restart_child(Sup, odd),
    trace(shut_down(Sup)).

start_odd() ->
    Main = self(),
    P = spawn_link(fun() ->
        process_flag(trap_exit, true),
        Main ! {started, self()},
        receive {'EXIT', _, Why} -> trace({odd, Why}), exit(something_else) end
    end),
    receive {started, P} -> {ok, P} end.
