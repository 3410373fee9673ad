%% pg: as other nodes see a process that joined twice.
-module(a_remote_member_that_joined_twice_leaves_twice).
-include("scenario.hrl").

main() ->
    {ok, _} = pg:start_link(scope),
    Node = start_node(a),
    Main = self(),
    P = spawn(Node, fun() ->
        pg:start(scope),
        pg:join(scope, group, self()),
        pg:join(scope, group, self()),
        Main ! joined,
        receive stop -> ok end
    end),
    receive joined -> ok end,
    until(fun() -> length(pg:get_members(scope, group)) =:= 2 end),
    {R, Now} = pg:monitor(scope, group),
    trace({R, Now}),
    P ! stop,
    trace(next()),
    trace(next()),
    trace(pg:get_members(scope, group)),
    trace(mailbox()).
