%% gen_server:call returns what handle_call replies with.
-module(a_call_returns_the_reply).
-include("server.hrl").

main() ->
    P = server(first),
    trace(gen_server:call(P, get)),
    trace(gen_server:call(P, fun(_, S) -> {reply, {was, S}, second} end)),
    trace(gen_server:call(P, get, infinity)).
