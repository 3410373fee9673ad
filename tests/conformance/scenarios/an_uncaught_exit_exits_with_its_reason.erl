%% exit(Reason) that nobody catches exits with Reason as it is.
-module(an_uncaught_exit_exits_with_its_reason).
-include("scenario.hrl").

main() ->
    {_, R} = spawn_monitor(fun() -> exit({as, it, is}) end),
    receive {'DOWN', R, process, _, Why} -> trace(Why) end.
