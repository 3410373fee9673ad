%% {reply, R, S, T} gives handle_info(timeout, S) if nothing comes within T.
-module(a_timeout_of_a_callback_is_a_message).
-include("server.hrl").

main() ->
    P = server(state),
    trace(gen_server:call(P, fun(_, S) -> {reply, ok, S, 10} end)),
    receive after 50 -> ok end,
    trace(gen_server:call(P, get)).
