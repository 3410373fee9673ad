%% The answers come in the order of the questions.
-module(process_info_takes_a_list_of_items).
-include("scenario.hrl").

main() ->
    P = idle(),
    sync(P),
    link(P),
    trace({self(), P}),
    trace(process_info(P, [trap_exit, links, message_queue_len])),
    trace(process_info(P, [])),
    unlink(P),
    trace(kill(P, kill)).
