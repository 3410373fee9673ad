%% monitor_node(Node, false) ends the monitor; each true is one message.
-module(monitor_node_can_be_taken_back).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    monitor_node(Node, true),
    monitor_node(Node, true),
    monitor_node(Node, true),
    monitor_node(Node, false),
    stop_node(Node),
    trace(next()),
    trace(next()),
    trace(mailbox()).
