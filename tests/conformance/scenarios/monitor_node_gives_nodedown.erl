%% monitor_node(Node, true) gives {nodedown, Node} when the connection is lost.
-module(monitor_node_gives_nodedown).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    trace(monitor_node(Node, true)),
    stop_node(Node),
    trace(next()),
    trace(lists:member(Node, nodes())),
    trace(mailbox()).
