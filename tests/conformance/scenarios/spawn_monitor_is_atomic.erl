%% A child that ends at once is monitored when it does.
-module(spawn_monitor_is_atomic).
-include("scenario.hrl").

main() ->
    {P, R} = spawn_monitor(fun() -> exit(at_once) end),
    trace({P, R}),
    trace(next()).
