%% exit(self(), kill) ends the process although it traps exits.
-module(exit_kill_to_oneself_cannot_be_trapped).
-include("scenario.hrl").

main() ->
    {P, R} = spawn_monitor(fun() ->
                               process_flag(trap_exit, true),
                               exit(self(), kill),
                               trace(wrong)
                           end),
    trace({P, R}),
    trace(next()).
