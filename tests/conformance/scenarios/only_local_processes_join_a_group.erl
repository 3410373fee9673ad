%% Joining with a pid of another node is an error.
-module(only_local_processes_join_a_group).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    {ok, _} = pg:start_link(scope),
    P = spawn(Node, fun() -> idling() end),
    {Class, Why} = outcome(fun() -> pg:join(scope, group, P) end),
    trace({Class, element(1, {Why})}),
    trace(pg:get_members(scope, group)),
    exit(P, kill).
