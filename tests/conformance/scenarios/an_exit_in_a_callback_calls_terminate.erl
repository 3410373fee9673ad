%% exit(Reason) in a callback ends the server with just that reason.
-module(an_exit_in_a_callback_calls_terminate).
-include("server.hrl").

main() ->
    P = server(state),
    R = monitor(process, P),
    gen_server:cast(P, fun(_) -> exit(broken) end),
    receive {'DOWN', R, process, P, Why} -> trace({down, Why}) end.
