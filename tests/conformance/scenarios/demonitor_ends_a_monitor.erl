%% After demonitor no down message comes.
-module(demonitor_ends_a_monitor).
-include("scenario.hrl").

main() ->
    P = idle(),
    R = monitor(process, P),
    trace(demonitor(R)),
    trace(stop(P, done)),
    trace(mailbox()).
