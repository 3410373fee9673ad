%% A badmatch that nobody catches exits with {{badmatch, V}, Stack}.
-module(an_error_of_the_language_exits_with_reason_and_stack).
-include("scenario.hrl").

main() ->
    {_, R} = spawn_monitor(fun() -> 1 = id(2) end),
    receive {'DOWN', R, process, _, Why} -> trace(Why) end,
    {_, R2} = spawn_monitor(fun() -> id(1) + id(a) end),
    receive {'DOWN', R2, process, _, Why2} -> trace(Why2) end,
    {_, R3} = spawn_monitor(?MODULE, missing, [1]),
    receive {'DOWN', R3, process, _, Why3} -> trace(Why3) end.

id(X) -> X.
