%% {alias, reply_demonitor}: the first message over the alias ends both.
-module(a_monitor_alias_with_reply_demonitor_takes_one_reply).
-include("scenario.hrl").

main() ->
    P = idle(),
    R = monitor(process, P, [{alias, reply_demonitor}]),
    R ! one,
    R ! two,
    trace(mailbox()),
    trace(process_info(self(), monitors)),
    trace(stop(P, done)),
    trace(mailbox()).
