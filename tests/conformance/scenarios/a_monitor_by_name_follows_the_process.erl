%% Who has lost the name is still the one who is monitored.
-module(a_monitor_by_name_follows_the_process).
-include("scenario.hrl").

main() ->
    P = idle(),
    register(worker, P),
    R = monitor(process, worker),
    trace(R),
    unregister(worker),
    Other = idle(),
    register(worker, Other),
    P ! {stop, done},
    trace(next()),
    trace(stop(Other, normal)),
    trace(mailbox()).
