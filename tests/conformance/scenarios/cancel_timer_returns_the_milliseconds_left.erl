%% cancel_timer returns the time left; the message does not come.
-module(cancel_timer_returns_the_milliseconds_left).
-include("scenario.hrl").

main() ->
    R = erlang:send_after(40, self(), wrong),
    Left = erlang:cancel_timer(R),
    trace(is_integer(Left) andalso Left > 0 andalso Left =< 40),
    receive M -> trace(M) after 50 -> trace(nothing) end.
