%% The end of a process is the end of its memberships.
-module(a_member_that_ends_leaves_all_its_groups).
-include("scenario.hrl").

main() ->
    {ok, _} = pg:start_link(scope),
    P = idle(),
    pg:join(scope, one, P),
    pg:join(scope, one, P),
    pg:join(scope, two, P),
    pg:join(scope, two, self()),
    trace(self()),
    trace(kill(P, kill)),
    until_alone(100),
    trace(pg:get_members(scope, one)),
    trace(pg:get_members(scope, two)),
    trace(pg:which_groups(scope)).

until_alone(0) -> too_late;
until_alone(N) ->
    case {pg:get_members(scope, one), pg:get_members(scope, two)} of
        {[], [_]} -> ok;
        _ -> receive after 2 -> until_alone(N - 1) end
    end.
