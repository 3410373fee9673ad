%% gen_server:call waits as long as it is told, though it be not at all.
-module(a_call_with_a_timeout_of_zero_times_out).
-include("server.hrl").

main() ->
    P = server(state),
    trace(P),
    sys:suspend(P),
    trace(outcome(fun() -> gen_server:call(P, get, 0) end)),
    sys:resume(P),
    trace(gen_server:call(P, get, infinity)),
    trace(mailbox()).
