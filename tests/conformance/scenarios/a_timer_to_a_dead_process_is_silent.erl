%% Starting a timer to a dead process is no error.
-module(a_timer_to_a_dead_process_is_silent).
-include("scenario.hrl").

main() ->
    R = erlang:send_after(1, dead(), hello),
    trace(is_reference(R)),
    erlang:send_after(10, self(), later),
    trace(next()).
