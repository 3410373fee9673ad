%% Whatever is asked of a dead process is undefined.
-module(process_info_of_a_dead_process_is_undefined).
-include("scenario.hrl").

main() ->
    P = dead(),
    trace(process_info(P)),
    trace(process_info(P, links)),
    trace(process_info(P, [links, message_queue_len])),
    trace(process_info(P, registered_name)),
    trace(is_process_alive(P)).
