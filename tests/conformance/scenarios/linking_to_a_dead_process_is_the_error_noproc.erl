%% Who does not trap exits gets the error noproc.
-module(linking_to_a_dead_process_is_the_error_noproc).
-include("scenario.hrl").

main() ->
    P = dead(),
    trace(outcome(fun() -> link(P) end)),
    trace(mailbox()).
