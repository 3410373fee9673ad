%% Late replies vanish; sending to an alias that is gone is silent.
-module(a_message_to_an_alias_after_unalias_is_dropped).
-include("scenario.hrl").

main() ->
    A = alias(),
    A ! early,
    trace(unalias(A)),
    trace(A ! late),
    trace(mailbox()).
