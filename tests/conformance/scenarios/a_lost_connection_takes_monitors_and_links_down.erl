%% A lost connection is noconnection, although the process over there lives.
-module(a_lost_connection_takes_monitors_and_links_down).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    Node = start_node(a),
    P = spawn(Node, fun() -> process_flag(trap_exit, true), serve() end),
    link(P),
    R = monitor(process, P),
    ask(P),
    trace({P, R}),
    disconnect_node(Node),
    trace_any(lost, next()),
    trace_any(lost, next()),
    trace(mailbox()).

serve() -> receive {ask, From} -> From ! {answer, self()}, serve() end.

ask(P) ->
    P ! {ask, self()},
    receive {answer, P} -> ok end.
