%% A dead process of another node cannot be an error at once: the signal noproc comes.
-module(linking_to_a_dead_remote_process_is_a_message).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    Node = start_node(a),
    P = spawn(Node, fun() -> ok end),
    gone(P),
    trace(P),
    trace(link(P)),
    trace(next()).
