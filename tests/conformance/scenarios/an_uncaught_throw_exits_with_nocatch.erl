%% throw(V) that nobody catches exits with {{nocatch, V}, Stack}.
-module(an_uncaught_throw_exits_with_nocatch).
-include("scenario.hrl").

main() ->
    {_, R} = spawn_monitor(fun() -> throw({a, ball}) end),
    receive {'DOWN', R, process, _, Why} -> trace(Why) end.
