%% The caller exits with {timeout, {gen_server, call, Args}}.
-module(a_call_that_is_not_answered_in_time_exits_with_timeout).
-include("server.hrl").

main() ->
    P = server(state),
    trace(P),
    trace(outcome(fun() -> gen_server:call(P, fun(_, S) -> {noreply, S} end, 10) end)),
    trace(is_process_alive(P)).
