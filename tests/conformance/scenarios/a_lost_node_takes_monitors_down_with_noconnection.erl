%% When the node ends its processes are down with noconnection.
-module(a_lost_node_takes_monitors_down_with_noconnection).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    P = spawn(Node, fun() -> idling() end),
    R = monitor(process, P),
    R2 = monitor(process, {nobody_yet, Node}),
    receive {'DOWN', R2, _, _, Why} -> trace(Why) end,
    trace({P, R}),
    stop_node(Node),
    trace(next()),
    trace(mailbox()).
