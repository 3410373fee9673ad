%% exit/2 to the parent ends it like any other process.
-module(a_child_may_end_its_parent).
-include("scenario.hrl").

main() ->
    {P, R} = spawn_monitor(fun() ->
        Parent = self(),
        spawn(fun() -> exit(Parent, from_child) end),
        idling()
    end),
    trace({P, R}),
    trace(next()).
