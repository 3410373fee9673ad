%% Processes of a node that is still there are reached again.
-module(a_message_after_a_lost_connection_connects_again).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    P = spawn(Node, fun() -> idling() end),
    trace({P, Node}),
    sync(P),
    disconnect_node(Node),
    P ! {sync, self()},
    trace(next()),
    R = monitor(process, P),
    trace(R),
    P ! {stop, done},
    trace(next()).
