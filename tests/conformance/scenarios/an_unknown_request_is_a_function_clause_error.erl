%% A callback without a matching clause crashes the server.
-module(an_unknown_request_is_a_function_clause_error).
-include("server.hrl").

main() ->
    P = server(state),
    trace(P),
    trace(outcome(fun() -> gen_server:call(P, unknown) end)),
    trace(is_process_alive(P)).
