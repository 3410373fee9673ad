%% The caller exits with {killed, Call}; terminate is not called.
-module(a_server_that_is_killed_during_a_call_ends_the_call).
-include("server.hrl").

main() ->
    P = server(state),
    trace(P),
    trace(outcome(fun() ->
        gen_server:call(P, fun(_, S) -> exit(P, kill), {noreply, S} end)
    end)).
