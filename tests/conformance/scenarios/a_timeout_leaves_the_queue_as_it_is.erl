%% A receive that times out takes nothing from the queue and changes no order.
-module(a_timeout_leaves_the_queue_as_it_is).
-include("scenario.hrl").

main() ->
    [self() ! N || N <- [1, 2, 3]],
    receive nothing -> trace(wrong) after 10 -> trace(timeout) end,
    trace(mailbox()).
