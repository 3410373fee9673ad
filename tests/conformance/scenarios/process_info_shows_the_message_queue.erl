%% message_queue_len and messages show what waits, in order.
-module(process_info_shows_the_message_queue).
-include("scenario.hrl").

main() ->
    trace(process_info(self(), message_queue_len)),
    [self() ! N || N <- [1, 2, 3]],
    trace(process_info(self(), message_queue_len)),
    trace(process_info(self(), messages)),
    receive 2 -> ok end,
    trace(process_info(self(), messages)).
