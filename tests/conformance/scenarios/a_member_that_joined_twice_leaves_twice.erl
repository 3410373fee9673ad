%% pg: the end of a process that joined twice is two events.
-module(a_member_that_joined_twice_leaves_twice).
-include("scenario.hrl").

main() ->
    {ok, _} = pg:start_link(scope),
    P = idle(),
    trace(P),
    pg:join(scope, group, P),
    pg:join(scope, other, P),
    pg:join(scope, group, [P, P]),
    {R, Now} = pg:monitor(scope, group),
    trace({R, Now}),
    trace(pg:leave(scope, group, P)),
    trace(next()),
    kill(P, boom),
    trace(next()),
    trace(next()),
    trace(pg:get_members(scope, group)),
    trace(mailbox()).
