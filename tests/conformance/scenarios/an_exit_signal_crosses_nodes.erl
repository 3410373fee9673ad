%% exit/2 and links act between nodes as they do on one.
-module(an_exit_signal_crosses_nodes).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    Node = start_node(a),
    P = spawn_link(Node, fun() -> idling() end),
    trace(P),
    exit(P, {from, afar}),
    trace(next()),
    P2 = spawn_link(Node, fun() -> exit(over_there) end),
    trace(P2),
    trace(next()),
    P3 = spawn_link(Node, fun() -> idling() end),
    trace(P3),
    exit(P3, kill),
    trace(next()).
