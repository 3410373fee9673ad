%% {local, Name} is registered before init is called.
-module(a_registered_server_has_its_name_in_init).
-include("server.hrl").

main() ->
    {ok, P} = gen_server:start({local, server}, ?MODULE, fun() ->
        trace(whereis(server) =:= self()),
        {ok, state}
    end, []),
    trace(whereis(server) =:= P),
    trace(gen_server:call(server, get)),
    trace(gen_server:call({server, node()}, get)).
