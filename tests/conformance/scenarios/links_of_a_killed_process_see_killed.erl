%% The links of a process that was ended by kill get the reason killed.
-module(links_of_a_killed_process_see_killed).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    P = spawn_link(fun() -> idling() end),
    trace(P),
    exit(P, kill),
    trace(next()).
