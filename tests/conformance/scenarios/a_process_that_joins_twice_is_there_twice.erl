%% pg: n joins make n members, and want n leaves.
-module(a_process_that_joins_twice_is_there_twice).
-include("scenario.hrl").

main() ->
    {ok, _} = pg:start_link(scope),
    P = self(),
    trace(P),
    trace(pg:join(scope, group, P)),
    trace(pg:join(scope, group, P)),
    trace(pg:get_members(scope, group)),
    trace(pg:leave(scope, group, P)),
    trace(pg:get_members(scope, group)),
    trace(pg:leave(scope, group, P)),
    trace(pg:get_members(scope, group)),
    trace(pg:leave(scope, group, P)).
