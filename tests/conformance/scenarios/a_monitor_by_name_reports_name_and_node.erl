%% The down message of a monitor by name has {Name, Node} in place of the pid.
-module(a_monitor_by_name_reports_name_and_node).
-include("scenario.hrl").

main() ->
    P = idle(),
    register(worker, P),
    R = monitor(process, worker),
    R2 = monitor(process, {worker, node()}),
    R3 = monitor(process, P),
    trace({P, R, R2, R3}),
    P ! {stop, done},
    receive {'DOWN', R, _, _, _} = D -> trace(D) end,
    receive {'DOWN', R2, _, _, _} = D2 -> trace(D2) end,
    receive {'DOWN', R3, _, _, _} = D3 -> trace(D3) end.
