%% A trapping process gets {'EXIT', From, Reason} and lives.
-module(exit_is_a_message_for_a_process_that_traps).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    Main = self(),
    P = spawn(fun() -> exit(Main, {some, reason}) end),
    gone(P),
    trace(P),
    trace(mailbox()).
