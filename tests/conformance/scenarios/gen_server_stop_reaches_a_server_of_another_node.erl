%% gen_server:stop by pid and by name and node.
-module(gen_server_stop_reaches_a_server_of_another_node).
-include("scenario.hrl").

init(State) -> {ok, State}.
handle_call(get, _, State) -> {reply, State, State}.
handle_cast(_, State) -> {noreply, State}.

main() ->
    Node = start_node(a),
    Main = self(),
    spawn(Node, fun() ->
        {ok, S} = gen_server:start({local, server}, ?MODULE, state, []),
        {ok, T} = gen_server:start(?MODULE, state, []),
        Main ! {servers, S, T}
    end),
    receive {servers, S, T} -> ok end,
    trace({S, T}),
    [monitor(process, P) || P <- [S, T]],
    trace(gen_server:stop(T)),
    receive {'DOWN', _, _, T, Why} -> trace(Why) end,
    trace(gen_server:stop({server, Node}, shutdown, infinity)),
    receive {'DOWN', _, _, S, Why2} -> trace(Why2) end.
