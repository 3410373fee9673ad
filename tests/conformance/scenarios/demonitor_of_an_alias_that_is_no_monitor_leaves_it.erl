%% demonitor ends monitors, not aliases that are none.
-module(demonitor_of_an_alias_that_is_no_monitor_leaves_it).
-include("scenario.hrl").

main() ->
    A = alias(),
    B = alias([reply]),
    trace({A, B}),
    trace(demonitor(A)),
    trace(demonitor(B)),
    trace(demonitor(A, [flush, info])),
    A ! 1,
    B ! 2,
    B ! 3,
    trace(mailbox()).
