%% exit(self(), Reason) is an exit message when the process traps exits.
-module(exit_to_oneself_is_a_message_when_trapping).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    trace(self()),
    trace(exit(self(), some)),
    trace(exit(self(), normal)),
    trace(mailbox()).
