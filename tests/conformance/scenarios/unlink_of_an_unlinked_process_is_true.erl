%% unlink of a process without a link, or of a dead one, is true.
-module(unlink_of_an_unlinked_process_is_true).
-include("scenario.hrl").

main() ->
    P = idle(),
    trace(unlink(P)),
    trace(unlink(dead())),
    trace(unlink(self())),
    trace(kill(P, kill)).
