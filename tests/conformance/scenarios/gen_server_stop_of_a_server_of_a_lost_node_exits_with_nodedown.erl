%% gen_server:stop of a server whose node is not there.
-module(gen_server_stop_of_a_server_of_a_lost_node_exits_with_nodedown).
-include("server.hrl").

main() ->
    Node = start_node(a),
    Main = self(),
    spawn(Node, fun() ->
        {ok, S} = gen_server:start({local, server}, ?MODULE, state, []),
        Main ! {server, S}
    end),
    receive {server, S} -> ok end,
    trace({S, Node}),
    trace(outcome(fun() -> gen_server:stop({nobody, Node}) end)),
    stop_node(Node),
    trace(outcome(fun() -> gen_server:stop(S, because, infinity) end)),
    trace(outcome(fun() -> gen_server:stop({server, Node}, because, infinity) end)),
    trace(mailbox()).
