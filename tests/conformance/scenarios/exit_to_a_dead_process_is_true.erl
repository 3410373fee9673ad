%% exit/2 to a process that has ended does nothing and is true.
-module(exit_to_a_dead_process_is_true).
-include("scenario.hrl").

main() ->
    trace(exit(dead(), reason)),
    trace(exit(dead(), kill)),
    trace(mailbox()).
