%% The end of a watcher does not touch what it watched.
-module(a_monitor_acts_in_one_direction).
-include("scenario.hrl").

main() ->
    P = idle(),
    W = spawn(fun() -> monitor(process, P), exit(broken) end),
    trace(gone(W)),
    sync(P),
    trace(is_process_alive(P)),
    trace(until(fun() -> process_info(P, monitored_by) =:= {monitored_by, []} end)).
