%% which_groups has only groups with members; asking for others is the empty list.
-module(a_group_without_members_does_not_exist).
-include("scenario.hrl").

main() ->
    {ok, _} = pg:start_link(scope),
    trace(pg:which_groups(scope)),
    trace(pg:get_members(scope, group)),
    trace(pg:get_local_members(scope, group)),
    pg:join(scope, {any, term}, self()),
    pg:join(scope, group, self()),
    trace(lists:sort(pg:which_groups(scope))),
    pg:leave(scope, group, self()),
    trace(pg:which_groups(scope)).
