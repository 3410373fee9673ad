%% Messages and exit/2 signals from one process arrive in the order of sending.
-module(messages_and_exit_signals_of_one_sender_keep_their_order).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    Main = self(),
    P = spawn(fun() ->
                  Main ! one,
                  exit(Main, two),
                  Main ! three,
                  exit(Main, four),
                  Main ! five
              end),
    gone(P),
    trace(P),
    trace(mailbox()).
