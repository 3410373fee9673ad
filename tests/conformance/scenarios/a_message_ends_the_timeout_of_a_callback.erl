%% Any message ends the wait; it is not started again by itself.
-module(a_message_ends_the_timeout_of_a_callback).
-include("server.hrl").

main() ->
    P = server(state),
    trace(gen_server:call(P, fun(_, S) -> {reply, ok, S, 40} end)),
    P ! message,
    receive after 50 -> ok end,
    trace(gen_server:call(P, get)).
