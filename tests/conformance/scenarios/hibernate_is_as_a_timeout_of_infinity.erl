%% {reply, R, S, hibernate}: the next message wakes the server.
-module(hibernate_is_as_a_timeout_of_infinity).
-include("server.hrl").

main() ->
    P = server(state),
    trace(gen_server:call(P, fun(_, S) -> {reply, ok, S, hibernate} end)),
    trace(gen_server:call(P, get)).
