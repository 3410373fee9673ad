%% read_timer of a timer that has fired or was cancelled is false.
-module(a_timer_that_fired_cannot_be_read).
-include("scenario.hrl").

main() ->
    R = erlang:start_timer(0, self(), x),
    trace({R, next()}),
    trace(erlang:read_timer(R)),
    trace(erlang:cancel_timer(R)),
    S = erlang:send_after(10000, self(), x),
    trace(erlang:cancel_timer(S) > 9000),
    trace(erlang:read_timer(S)),
    trace(erlang:cancel_timer(S)).
