%% gen_server:reply works from any process.
-module(anyone_may_reply_to_a_call).
-include("server.hrl").

main() ->
    P = server(state),
    trace(gen_server:call(P, fun(From, S) ->
        spawn(fun() -> gen_server:reply(From, from_another) end),
        {noreply, S}
    end)).
