%% What no callback may return ends the server with {bad_return_value, V}.
-module(a_wrong_return_value_stops_the_server).
-include("server.hrl").

main() ->
    P = server(state),
    R = monitor(process, P),
    gen_server:cast(P, fun(_) -> nonsense end),
    receive {'DOWN', R, process, P, Why} -> trace({down, Why}) end.
