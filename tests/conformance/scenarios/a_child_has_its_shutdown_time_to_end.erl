%% A child that takes less than its shutdown time is not killed.
-module(a_child_has_its_shutdown_time_to_end).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [#{id => slow, shutdown => 2000,
                                  start => {?MODULE, start_slow, []}}]),
    [{slow, P, worker, _}] = supervisor:which_children(Sup),
    R = monitor(process, P),
    trace(shut_down(Sup)),
    receive {'DOWN', R, process, P, Why} -> trace({child, Why}) end.

start_slow() ->
    Parent = self(),
    P = spawn_link(fun() ->
        process_flag(trap_exit, true),
        Parent ! {started, self()},
        receive {'EXIT', Parent, Why} ->
            receive after 20 -> trace({cleaned_up, Why}), exit(Why) end
        end
    end),
    receive {started, P} -> {ok, P} end.
