%% The earlier one comes first, whatever was started first.
-module(timers_fire_in_the_order_of_their_times).
-include("scenario.hrl").

main() ->
    erlang:send_after(45, self(), third),
    erlang:send_after(5, self(), first),
    erlang:send_after(25, self(), second),
    trace(next()),
    trace(next()),
    trace(next()).
