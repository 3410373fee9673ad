%% monitors has who is watched, monitored_by who watches.
-module(process_info_shows_monitors_in_both_directions).
-include("scenario.hrl").

main() ->
    P = idle(),
    register(named, P),
    trace({self(), P}),
    R = monitor(process, P),
    trace(process_info(self(), monitors)),
    trace(process_info(P, monitored_by)),
    demonitor(R),
    monitor(process, named),
    trace(process_info(self(), monitors)),
    exit(P, kill),
    receive {'DOWN', _, process, _, Why} -> trace(Why) end,
    trace(process_info(self(), monitors)).
