%% A call to the own name within a callback exits at once.
-module(a_server_that_calls_itself_exits_with_calling_self).
-include("server.hrl").

main() ->
    {ok, P} = gen_server:start({local, server}, ?MODULE, state, []),
    trace(is_pid(P)),
    trace(gen_server:call(P, fun(_, S) ->
        {reply, outcome(fun() -> gen_server:call(server, get) end), S}
    end)).
