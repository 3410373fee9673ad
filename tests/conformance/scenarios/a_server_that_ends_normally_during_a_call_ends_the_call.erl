%% Stopping with normal without a reply makes the caller exit with normal, too.
-module(a_server_that_ends_normally_during_a_call_ends_the_call).
-include("server.hrl").

main() ->
    P = server(state),
    trace(P),
    trace(outcome(fun() -> gen_server:call(P, fun(_, S) -> {stop, normal, S} end) end)),
    trace(is_process_alive(P)).
