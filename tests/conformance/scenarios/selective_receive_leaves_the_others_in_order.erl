%% Messages that no clause matched keep their order.
-module(selective_receive_leaves_the_others_in_order).
-include("scenario.hrl").

main() ->
    [self() ! N || N <- [1, 2, 3, 4, 5, 6]],
    receive 4 -> trace(4) end,
    receive 2 -> trace(2) end,
    receive N when N > 4 -> trace(N) end,
    trace(mailbox()).
