%% Who waits for a reply from a node that ends exits with nodedown.
-module(a_node_lost_during_a_call_ends_the_call).
-include("server.hrl").

main() ->
    Node = start_node(a),
    Main = self(),
    spawn(Node, fun() ->
        {ok, S} = gen_server:start(?MODULE, Main, []),
        Main ! {server, S}
    end),
    receive {server, S} -> ok end,
    trace(S),
    {_, R} = spawn_monitor(fun() ->
        gen_server:call(S, fun(_, M) -> M ! asked, {noreply, M} end, infinity)
    end),
    receive asked -> ok end,
    stop_node(Node),
    receive {'DOWN', R, process, _, Why} -> trace(Why) end.
