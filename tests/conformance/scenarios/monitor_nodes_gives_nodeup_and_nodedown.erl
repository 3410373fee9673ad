%% net_kernel:monitor_nodes(true): nodeup and nodedown of all nodes.
-module(monitor_nodes_gives_nodeup_and_nodedown).
-include("scenario.hrl").

main() ->
    trace(net_kernel:monitor_nodes(true)),
    Node = start_node(a),
    trace(next()),
    stop_node(Node),
    trace(next()),
    trace(net_kernel:monitor_nodes(false)),
    trace(mailbox()).
