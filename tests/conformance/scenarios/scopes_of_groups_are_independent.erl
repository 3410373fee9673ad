%% The same group of two scopes has its own members in each.
-module(scopes_of_groups_are_independent).
-include("scenario.hrl").

main() ->
    {ok, _} = pg:start_link(one),
    {ok, _} = pg:start_link(two),
    trace(self()),
    pg:join(one, group, self()),
    trace(pg:get_members(one, group)),
    trace(pg:get_members(two, group)),
    trace(pg:leave(two, group, self())),
    trace(pg:which_groups(one)),
    trace(pg:which_groups(two)).
