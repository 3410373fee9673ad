%% exit(P, Reason) ends P with that reason.
-module(exit_with_a_reason_ends_the_process_with_it).
-include("scenario.hrl").

main() ->
    P = idle(),
    R = monitor(process, P),
    trace({P, R}),
    exit(P, {because, [1, 2]}),
    trace(next()),
    trace(is_process_alive(P)).
