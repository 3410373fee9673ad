%% With `after 0` the whole queue is looked through before the timeout counts.
-module(a_timeout_of_zero_still_looks_through_the_queue).
-include("scenario.hrl").

main() ->
    self() ! a,
    self() ! b,
    receive b -> trace(got_b) after 0 -> trace(timeout) end,
    receive b -> trace(got_b) after 0 -> trace(timeout) end,
    receive a -> trace(got_a) after 0 -> trace(timeout) end.
