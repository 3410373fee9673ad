%% link and monitor connect as messages do.
-module(a_link_after_a_lost_connection_connects_again).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    Node = start_node(a),
    P = spawn(Node, fun() -> idling() end),
    trace(P),
    link(P),
    sync(P),
    disconnect_node(Node),
    trace(next()),
    trace(mailbox()).
