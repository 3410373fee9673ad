%% A scope that runs on two connected nodes shows the members of both.
-module(members_of_another_node_are_seen).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    {ok, _} = pg:start_link(scope),
    {P, S} = remote_member(Node),
    wait_for([P], 500),
    trace(pg:get_members(scope, group) =:= [P]),
    trace(pg:get_local_members(scope, group)),
    trace(pg:leave(scope, group, self())),
    P ! leave,
    receive left -> ok end,
    wait_for([], 500),
    trace(pg:get_members(scope, group)),
    exit(P, kill),
    exit(S, kill).

remote_member(Node) ->
    Main = self(),
    P = spawn(Node, fun() ->
        {ok, S} = pg:start(scope),
        pg:join(scope, group, self()),
        Main ! {joined, S},
        receive leave -> pg:leave(scope, group, self()), Main ! left end,
        receive never -> ok end
    end),
    receive {joined, S} -> {P, S} end.

wait_for(_, 0) -> trace(too_late);
wait_for(Members, N) ->
    case pg:get_members(scope, group) of
        Members -> ok;
        _ -> receive after 5 -> wait_for(Members, N - 1) end
    end.
