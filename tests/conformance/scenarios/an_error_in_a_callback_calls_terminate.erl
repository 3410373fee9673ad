%% terminate gets {Reason, Stack}; the server exits with it.
-module(an_error_in_a_callback_calls_terminate).
-include("server.hrl").

main() ->
    P = server(state),
    R = monitor(process, P),
    gen_server:cast(P, fun(_) -> error(broken) end),
    receive {'DOWN', R, process, P, Why} -> trace({down, Why}) end.
