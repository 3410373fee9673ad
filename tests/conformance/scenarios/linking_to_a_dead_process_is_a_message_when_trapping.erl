%% Who traps exits gets the exit message with noproc.
-module(linking_to_a_dead_process_is_a_message_when_trapping).
-include("scenario.hrl").

main() ->
    P = dead(),
    process_flag(trap_exit, true),
    trace(P),
    trace(outcome(fun() -> link(P) end)),
    trace(next()),
    trace(process_info(self(), links)).
