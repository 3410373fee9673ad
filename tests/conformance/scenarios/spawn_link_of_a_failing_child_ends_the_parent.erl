%% The parent that does not trap exits ends with the child's reason.
-module(spawn_link_of_a_failing_child_ends_the_parent).
-include("scenario.hrl").

main() ->
    {P, R} = spawn_monitor(fun() ->
                               spawn_link(fun() -> error(broken) end),
                               idling()
                           end),
    trace({P, R}),
    trace(next()).
