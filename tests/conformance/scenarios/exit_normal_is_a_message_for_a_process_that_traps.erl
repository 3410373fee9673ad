%% A trapping process gets {'EXIT', From, normal}.
-module(exit_normal_is_a_message_for_a_process_that_traps).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    Main = self(),
    P = spawn(fun() -> exit(Main, normal) end),
    gone(P),
    trace(P),
    trace(mailbox()).
