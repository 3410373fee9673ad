%% A timer of 0 milliseconds is sent.
-module(a_timer_of_zero_fires).
-include("scenario.hrl").

main() ->
    erlang:send_after(0, self(), now),
    trace(next()).
