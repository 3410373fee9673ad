%% Whoever has the reference may cancel the timer.
-module(a_timer_can_be_cancelled_by_another_process).
-include("scenario.hrl").

main() ->
    R = erlang:send_after(5000, self(), wrong),
    Main = self(),
    spawn(fun() -> Main ! {left, is_integer(erlang:cancel_timer(R))} end),
    trace(next()),
    trace(erlang:read_timer(R)).
