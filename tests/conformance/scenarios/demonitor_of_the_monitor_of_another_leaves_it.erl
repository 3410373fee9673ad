%% Only who has made a monitor ends it.
-module(demonitor_of_the_monitor_of_another_leaves_it).
-include("scenario.hrl").

main() ->
    P = idle(),
    R = monitor(process, P),
    trace({P, R}),
    Main = self(),
    spawn(fun() -> Main ! {done, outcome(fun() -> demonitor(R) end)} end),
    receive {done, X} -> trace(X) end,
    kill(P, boom),
    trace(next()),
    trace(mailbox()).
