%% {Name, node()} reaches the server; nobody of that name is noproc.
-module(a_call_to_a_name_at_the_own_node_is_a_local_call).
-include("server.hrl").

main() ->
    {ok, _} = gen_server:start({local, server}, ?MODULE, state, []),
    trace(node()),
    trace(gen_server:call({server, node()}, get)),
    trace(outcome(fun() -> gen_server:call({nobody, node()}, get) end)),
    trace(gen_server:cast({nobody, node()}, x)),
    trace(outcome(fun() -> gen_server:stop({nobody, node()}) end)),
    trace(gen_server:stop({server, node()})),
    trace(whereis(server)).
