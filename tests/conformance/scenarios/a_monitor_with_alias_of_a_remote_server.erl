%% The answer through the alias ends monitor and alias.
-module(a_monitor_with_alias_of_a_remote_server).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    P = spawn(Node, fun() -> answering() end),
    R = monitor(process, P, [{alias, reply_demonitor}]),
    trace(R),
    P ! {ask, R},
    trace(next()),
    P ! {ask, R},
    exit(P, boom),
    S = monitor(process, P, [{alias, reply_demonitor}]),
    receive {'DOWN', S, process, P, _} -> ok end,
    trace(mailbox()).

answering() -> receive {ask, R} -> R ! {R, answer}, answering() end.
