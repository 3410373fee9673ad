%% After unlink the exit of the other is not noticed.
-module(an_unlinked_process_is_not_touched).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    P = spawn_link(fun() -> idling() end),
    unlink(P),
    trace(stop(P, broken)),
    trace(mailbox()).
