%% Each monitor_nodes(true) is a subscription of its own; false ends all.
-module(monitor_nodes_may_be_turned_on_twice).
-include("scenario.hrl").

main() ->
    net_kernel:monitor_nodes(true),
    net_kernel:monitor_nodes(true),
    Node = start_node(a),
    trace(Node),
    trace(next()),
    trace(next()),
    stop_node(Node),
    trace(next()),
    trace(next()),
    net_kernel:monitor_nodes(false),
    B = start_node(b),
    stop_node(B),
    trace(mailbox()).
