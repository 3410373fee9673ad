%% is_process_alive of a process of another node, or of no pid, is badarg.
-module(is_process_alive_is_for_local_processes).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    P = spawn(Node, fun() -> receive stop -> ok end end),
    trace(outcome(fun() -> is_process_alive(P) end)),
    trace(outcome(fun() -> is_process_alive(name) end)),
    trace(is_process_alive(self())).
