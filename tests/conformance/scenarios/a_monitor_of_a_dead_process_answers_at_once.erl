%% The down message of a process that was dead already has the reason noproc.
-module(a_monitor_of_a_dead_process_answers_at_once).
-include("scenario.hrl").

main() ->
    P = dead(),
    R = monitor(process, P),
    trace({P, R}),
    trace(next()).
