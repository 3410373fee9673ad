%% The reason kill that comes over a link stays kill for the next ones.
-module(a_link_with_reason_kill_stays_kill).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    P = spawn_link(fun() ->
                       spawn_link(fun() -> exit(kill) end),
                       idling()
                   end),
    trace(P),
    trace(next()).
