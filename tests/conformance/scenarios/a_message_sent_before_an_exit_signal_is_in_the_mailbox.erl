%% What was sent before an exit signal is received before it acts.
-module(a_message_sent_before_an_exit_signal_is_in_the_mailbox).
-include("scenario.hrl").

main() ->
    Main = self(),
    P = spawn(fun() ->
                  process_flag(trap_exit, true),
                  Main ! ready,
                  receive go -> ok end,
                  Main ! {seen, mailbox()}
              end),
    receive ready -> ok end,
    P ! one,
    exit(P, two),
    P ! three,
    P ! go,
    trace(gone(P)),
    trace(mailbox()).
