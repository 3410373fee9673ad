%% The end of a node is the end of the memberships of its processes.
-module(members_of_a_node_vanish_when_it_goes_down).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    {ok, _} = pg:start_link(scope),
    Main = self(),
    pg:join(scope, group, Main),
    trace(Main),
    P = spawn(Node, fun() ->
        {ok, _} = pg:start(scope),
        pg:join(scope, group, self()),
        Main ! joined,
        receive never -> ok end
    end),
    receive joined -> ok end,
    trace(P),
    wait_for(2, 500),
    {R, Members} = pg:monitor(scope, group),
    trace({R, lists:sort(Members) =:= lists:sort([Main, P])}),
    stop_node(Node),
    trace(next()),
    trace(pg:get_members(scope, group)).

wait_for(_, 0) -> trace(too_late);
wait_for(Count, N) ->
    case length(pg:get_members(scope, group)) of
        Count -> ok;
        _ -> receive after 5 -> wait_for(Count, N - 1) end
    end.
