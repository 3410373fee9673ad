%% The end of a caller during its call does not touch the server.
-module(a_caller_that_dies_leaves_the_server_alone).
-include("server.hrl").

main() ->
    P = server(state),
    Main = self(),
    Caller = spawn(fun() ->
        gen_server:call(P, fun(_, S) ->
            Main ! asked,
            receive go -> {reply, ok, S} end
        end)
    end),
    receive asked -> ok end,
    trace(kill(Caller, broken)),
    P ! go,
    trace(gen_server:call(P, get)).
