%% {Name, Node} is watched over there; an unknown name is noproc.
-module(a_monitor_by_name_at_another_node_reports_name_and_node).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    Main = self(),
    spawn(Node, fun() ->
        register(there, self()),
        Main ! ready,
        idling()
    end),
    receive ready -> ok end,
    R = monitor(process, {there, Node}),
    trace(R),
    {there, Node} ! {stop, done},
    trace(next()),
    R2 = monitor(process, {nobody, Node}),
    trace(R2),
    trace(next()).
