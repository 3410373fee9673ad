%% gen_server:call to a name or a process of a lost node.
-module(a_call_to_a_lost_node_exits_with_nodedown).
-include("server.hrl").

main() ->
    Node = start_node(a),
    Main = self(),
    spawn(Node, fun() ->
        {ok, S} = gen_server:start({local, server}, ?MODULE, state, []),
        Main ! {server, S}
    end),
    receive {server, S} -> ok end,
    trace(S),
    trace(gen_server:call(S, get)),
    trace(gen_server:call({server, Node}, get)),
    stop_node(Node),
    trace(outcome(fun() -> gen_server:call(S, get) end)),
    trace(outcome(fun() -> gen_server:call({server, Node}, get) end)),
    trace(gen_server:cast({server, Node}, hello)).
