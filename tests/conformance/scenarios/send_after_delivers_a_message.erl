%% erlang:send_after(T, Pid, M) sends M after T milliseconds.
-module(send_after_delivers_a_message).
-include("scenario.hrl").

main() ->
    Start = erlang:monotonic_time(millisecond),
    R = erlang:send_after(20, self(), hello),
    trace(is_reference(R)),
    trace(next()),
    trace(erlang:monotonic_time(millisecond) - Start >= 20).
