%% A monitor by name is shown by name and node.
-module(process_info_shows_monitors_by_name_and_of_other_nodes).
-include("scenario.hrl").

main() ->
    P = idle(),
    register(it, P),
    Node = start_node(a),
    Far = spawn(Node, fun() -> receive stop -> ok end end),
    trace({P, Far}),
    monitor(process, it),
    trace(process_info(self(), monitors)),
    {monitored_by, By} = process_info(P, monitored_by),
    trace(By =:= [self()]),
    R = monitor(process, Far),
    trace(length(element(2, process_info(self(), monitors)))),
    trace(lists:member({process, Far}, element(2, process_info(self(), monitors)))),
    demonitor(R),
    trace(process_info(self(), monitors)).
