%% exit(kill) ends a process with the reason kill; links that trap get a message.
-module(a_link_with_reason_kill_can_be_trapped).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    P = spawn_link(fun() -> exit(kill) end),
    trace(P),
    trace(next()).
