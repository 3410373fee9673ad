%% error(Reason) that nobody catches exits with {Reason, Stack}.
-module(an_uncaught_error_exits_with_reason_and_stack).
-include("scenario.hrl").

main() ->
    {_, R} = spawn_monitor(fun() -> error({no, luck}) end),
    receive {'DOWN', R, process, _, Why} -> trace(Why) end.
