%% `after T` waits T milliseconds at least.
-module(a_receive_waits_for_its_timeout).
-include("scenario.hrl").

main() ->
    Start = erlang:monotonic_time(millisecond),
    receive never -> trace(wrong) after 30 -> ok end,
    trace(erlang:monotonic_time(millisecond) - Start >= 30).
