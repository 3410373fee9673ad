%% erlang:start_timer(T, Pid, M) sends {timeout, Ref, M}.
-module(start_timer_delivers_a_timeout_message).
-include("scenario.hrl").

main() ->
    R = erlang:start_timer(10, self(), hello),
    trace(R),
    trace(next()).
