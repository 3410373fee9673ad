%% exit(self(), normal) ends the process that says it.
-module(exit_normal_to_oneself_ends_the_process).
-include("scenario.hrl").

main() ->
    {P, R} = spawn_monitor(fun() -> exit(self(), normal), trace(wrong) end),
    trace({P, R}),
    trace(next()).
