%% gen_server:call of {Name, Node} where nobody has the name.
-module(a_call_to_an_unknown_name_of_another_node_exits_with_noproc).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    P = spawn(Node, fun() -> receive stop -> ok end end),
    R = monitor(process, P),
    P ! stop,
    receive {'DOWN', R, _, _, _} -> ok end,
    trace({Node, P}),
    trace(outcome(fun() -> gen_server:call({nobody, Node}, x) end)),
    trace(outcome(fun() -> gen_server:call(P, x) end)),
    trace(gen_server:cast({nobody, Node}, x)),
    trace(gen_server:cast(P, x)).
