%% {alias, explicit_unalias}: neither demonitor nor the down message ends the alias.
-module(a_monitor_alias_with_explicit_unalias_stays).
-include("scenario.hrl").

main() ->
    P = idle(),
    R = monitor(process, P, [{alias, explicit_unalias}]),
    trace(R),
    demonitor(R),
    R ! one,
    trace(next()),
    R2 = monitor(process, P, [{alias, explicit_unalias}]),
    exit(P, kill),
    receive {'DOWN', R2, process, _, Why} -> trace(Why) end,
    R2 ! two,
    trace(next()),
    trace(unalias(R2)),
    R2 ! three,
    trace(mailbox()).
