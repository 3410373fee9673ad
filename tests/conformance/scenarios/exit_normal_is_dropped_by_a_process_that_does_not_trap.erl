%% exit(P, normal) does nothing to another process that does not trap exits.
-module(exit_normal_is_dropped_by_a_process_that_does_not_trap).
-include("scenario.hrl").

main() ->
    P = idle(),
    trace(exit(P, normal)),
    sync(P),
    trace(is_process_alive(P)),
    trace(kill(P, other)).
