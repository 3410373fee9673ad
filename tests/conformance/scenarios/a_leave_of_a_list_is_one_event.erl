%% pg: leaving takes one membership for each pid of the list, in one event.
-module(a_leave_of_a_list_is_one_event).
-include("scenario.hrl").

main() ->
    {ok, _} = pg:start_link(scope),
    P = idle(),
    Q = idle(),
    trace({P, Q}),
    pg:join(scope, group, [P, P, Q]),
    {R, _} = pg:monitor(scope, group),
    trace(R),
    trace(pg:leave(scope, group, [P, P])),
    trace(next()),
    trace(pg:get_members(scope, group)),
    trace(pg:leave(scope, group, [Q])),
    trace(next()),
    trace(pg:which_groups(scope)),
    trace(mailbox()).
