%% Exit messages that were trapped stay; later signals act as before.
-module(trapping_can_be_switched_off_again).
-include("scenario.hrl").

main() ->
    {P, R} = spawn_monitor(fun() ->
        process_flag(trap_exit, true),
        exit(self(), first),
        receive {'EXIT', _, _} = Exit -> self() ! Exit end,
        process_flag(trap_exit, false),
        receive {'EXIT', _, Why} -> trace({message, Why}) end,
        exit(self(), second),
        trace(wrong)
    end),
    receive {'DOWN', R, process, P, Why} -> trace({down, Why}) end.
