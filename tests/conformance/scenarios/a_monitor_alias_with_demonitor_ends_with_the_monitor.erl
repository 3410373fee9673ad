%% {alias, demonitor}: demonitor and the down message end the alias.
-module(a_monitor_alias_with_demonitor_ends_with_the_monitor).
-include("scenario.hrl").

main() ->
    P = idle(),
    R = monitor(process, P, [{alias, demonitor}]),
    R ! one,
    trace(next()),
    demonitor(R),
    R ! two,
    trace(mailbox()),
    R2 = monitor(process, P, [{alias, demonitor}]),
    exit(P, kill),
    receive {'DOWN', R2, process, _, Why} -> trace(Why) end,
    R2 ! three,
    trace(mailbox()),
    trace(unalias(R2)).
