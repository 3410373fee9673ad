%% alias([reply]) is gone after the first message that came over it.
-module(an_alias_with_reply_takes_one_message).
-include("scenario.hrl").

main() ->
    A = alias([reply]),
    A ! one,
    A ! two,
    trace(next()),
    trace(mailbox()),
    trace(unalias(A)).
