%% gen_server:stop ends the server with normal, or with the reason given.
-module(gen_server_stop_waits_for_the_end).
-include("server.hrl").

main() ->
    P = server(one),
    trace(gen_server:stop(P)),
    trace(is_process_alive(P)),
    P2 = server(two),
    trace(gen_server:stop(P2, shutdown, 1000)),
    trace(is_process_alive(P2)),
    P3 = server(three),
    R = monitor(process, P3),
    trace(gen_server:stop(P3, {some, reason}, infinity)),
    receive {'DOWN', R, process, P3, Why} -> trace({down, Why}) end.
