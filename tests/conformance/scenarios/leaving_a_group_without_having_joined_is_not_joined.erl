%% pg:leave of who is no member returns not_joined.
-module(leaving_a_group_without_having_joined_is_not_joined).
-include("scenario.hrl").

main() ->
    {ok, _} = pg:start_link(scope),
    trace(pg:leave(scope, group, self())),
    pg:join(scope, group, self()),
    P = idle(),
    trace(pg:leave(scope, group, P)),
    trace(pg:leave(scope, other_group, self())),
    trace(pg:leave(scope, group, [P, self()])),
    trace(pg:get_members(scope, group)),
    trace(kill(P, kill)).
