%% handle_info may stop the server as well.
-module(a_stop_from_a_message_calls_terminate).
-include("server.hrl").

main() ->
    P = server(state),
    R = monitor(process, P),
    P ! fun(S) -> {stop, {because, S}, last} end,
    receive {'DOWN', R, process, P, Why} -> trace({down, Why}) end.
