%% Too late is false; so is twice, and so is a reference that is no timer.
-module(cancel_timer_of_a_timer_that_fired_is_false).
-include("scenario.hrl").

main() ->
    R = erlang:send_after(1, self(), fired),
    trace(next()),
    trace(erlang:cancel_timer(R)),
    R2 = erlang:send_after(5000, self(), wrong),
    trace(is_integer(erlang:cancel_timer(R2))),
    trace(erlang:cancel_timer(R2)),
    trace(erlang:cancel_timer(make_ref())).
