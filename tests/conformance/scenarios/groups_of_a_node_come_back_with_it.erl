%% pg: members of a node that is connected again are there again.
-module(groups_of_a_node_come_back_with_it).
-include("scenario.hrl").

main() ->
    {ok, _} = pg:start_link(scope),
    Node = start_node(a),
    Main = self(),
    P = spawn(Node, fun() -> pg:start(scope), pg:join(scope, group, self()), Main ! joined, idling() end),
    receive joined -> ok end,
    until(fun() -> pg:get_members(scope, group) =:= [P] end),
    {R, Now} = pg:monitor(scope, group),
    trace({R, Now}),
    disconnect_node(Node),
    trace(next()),
    trace(pg:get_members(scope, group)),
    P ! {sync, self()},
    receive {synced, P} -> ok end,
    until(fun() -> pg:get_members(scope, group) =:= [P] end),
    trace(pg:get_members(scope, group)),
    trace(next()).
