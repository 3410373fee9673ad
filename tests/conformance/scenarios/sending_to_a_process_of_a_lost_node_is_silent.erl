%% Messages to processes of a node that has ended vanish.
-module(sending_to_a_process_of_a_lost_node_is_silent).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    P = spawn(Node, fun() -> idling() end),
    sync(P),
    stop_node(Node),
    trace(P ! hello),
    R = monitor(process, P),
    trace({P, R}),
    trace(next()),
    trace(mailbox()).
