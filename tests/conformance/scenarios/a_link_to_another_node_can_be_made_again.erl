%% Links and unlinks with a process of another node take turns.
-module(a_link_to_another_node_can_be_made_again).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    Node = start_node(a),
    P = spawn(Node, fun() -> idling() end),
    trace(P),
    link(P), unlink(P), link(P), unlink(P), link(P),
    sync(P),
    trace(mailbox()),
    P ! {stop, boom},
    trace(next()),
    Q = spawn(Node, fun() -> idling() end),
    trace(Q),
    link(Q), link(Q), unlink(Q),
    sync(Q),
    Q ! {stop, boom},
    R = monitor(process, Q),
    trace(R),
    receive {'DOWN', R, process, Q, _} -> ok end,
    trace(mailbox()).
