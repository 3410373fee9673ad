%% A receive takes the first message in the queue that matches any clause, not the
%% first clause that matches any message.
-module(selective_receive_takes_the_first_match_in_queue_order).
-include("scenario.hrl").

main() ->
    self() ! {b, 1},
    self() ! {c, 2},
    self() ! {a, 3},
    receive
        {a, X} -> trace({first, a, X});
        {c, X} -> trace({first, c, X})
    end,
    trace(mailbox()).
