%% After the shutdown time the supervisor kills the child.
-module(a_child_that_ignores_shutdown_is_killed).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [#{id => s, shutdown => 20,
                                  start => {?MODULE, start_stubborn, [s]}}]),
    [{s, P, worker, _}] = supervisor:which_children(Sup),
    R = monitor(process, P),
    trace(shut_down(Sup)),
    receive {'DOWN', R, process, P, Why} -> trace({child, Why}) end.
