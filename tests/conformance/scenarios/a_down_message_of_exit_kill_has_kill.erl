%% A process that says exit(kill) is down with kill, not killed.
-module(a_down_message_of_exit_kill_has_kill).
-include("scenario.hrl").

main() ->
    {P, R} = spawn_monitor(fun() -> exit(kill) end),
    trace({P, R}),
    trace(next()).
