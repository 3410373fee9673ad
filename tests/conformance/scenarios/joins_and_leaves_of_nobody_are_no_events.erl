%% pg: an empty list joins and leaves nothing.
-module(joins_and_leaves_of_nobody_are_no_events).
-include("scenario.hrl").

main() ->
    {ok, _} = pg:start_link(scope),
    {R, Now} = pg:monitor(scope, group),
    trace({R, Now}),
    trace(pg:join(scope, group, [])),
    trace(pg:leave(scope, group, [])),
    trace(pg:get_members(scope, group)),
    trace(pg:get_members(scope, never)),
    trace(pg:demonitor(scope, R)),
    trace(pg:demonitor(scope, R)),
    pg:join(scope, group, self()),
    trace(mailbox()).
