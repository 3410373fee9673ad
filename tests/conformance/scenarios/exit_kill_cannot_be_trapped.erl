%% exit(P, kill) ends P although it traps exits; its reason is killed.
-module(exit_kill_cannot_be_trapped).
-include("scenario.hrl").

main() ->
    Main = self(),
    P = spawn(fun() -> process_flag(trap_exit, true), Main ! ready, idling() end),
    receive ready -> ok end,
    R = monitor(process, P),
    trace({P, R}),
    exit(P, kill),
    trace(next()).
