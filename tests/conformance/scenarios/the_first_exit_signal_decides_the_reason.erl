%% Of two exit signals of one sender the first ends the process.
-module(the_first_exit_signal_decides_the_reason).
-include("scenario.hrl").

main() ->
    {P, R} = spawn_monitor(fun() -> idling() end),
    exit(P, first),
    exit(P, second),
    exit(P, kill),
    receive {'DOWN', R, process, P, Why} -> trace(Why) end,
    trace(mailbox()).
