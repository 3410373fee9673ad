%% read_timer does not stop the timer; afterwards it is false.
-module(read_timer_returns_the_milliseconds_left).
-include("scenario.hrl").

main() ->
    R = erlang:start_timer(30, self(), hello),
    Left = erlang:read_timer(R),
    trace(is_integer(Left) andalso Left > 0 andalso Left =< 30),
    receive {timeout, R, M} -> trace(M) end,
    trace(erlang:read_timer(R)),
    R2 = erlang:send_after(5000, self(), wrong),
    erlang:cancel_timer(R2),
    trace(erlang:read_timer(R2)).
