%% The caller exits with the server's reason and the call.
-module(a_server_that_dies_during_a_call_ends_the_call).
-include("server.hrl").

main() ->
    P = server(state),
    trace(P),
    trace(outcome(fun() -> gen_server:call(P, fun(_, _) -> exit(broken) end) end)),
    P2 = server(state),
    trace(outcome(fun() -> gen_server:call(P2, fun(_, _) -> error(broken) end) end)),
    trace(mailbox()).
