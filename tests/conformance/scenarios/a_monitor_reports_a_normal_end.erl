%% A down message comes for the reason normal, too.
-module(a_monitor_reports_a_normal_end).
-include("scenario.hrl").

main() ->
    {P, R} = spawn_monitor(fun() -> ok end),
    trace({P, R}),
    trace(next()).
