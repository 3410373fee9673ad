%% No down message comes behind demonitor with flush, whatever is under way.
-module(demonitor_of_a_remote_monitor_with_flush).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    P = spawn(Node, fun() -> idling() end),
    Q = spawn(Node, fun() -> idling() end),
    R = monitor(process, P),
    P ! {stop, boom},
    trace(demonitor(R, [flush])),
    sync(Q),
    trace(mailbox()),
    gone(P),
    S = monitor(process, P),
    trace({S, P}),
    trace(next()),
    trace(demonitor(S, [flush, info])).
