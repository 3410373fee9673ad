%% Without trapping the exit signal noconnection ends the linked process.
-module(a_link_to_a_lost_node_ends_who_does_not_trap).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    Main = self(),
    {L, R} = spawn_monitor(fun() ->
        P = spawn_link(Node, fun() -> serve() end),
        P ! {ask, self()},
        receive {answer, P} -> Main ! linked end,
        idling()
    end),
    receive linked -> ok end,
    stop_node(Node),
    receive {'DOWN', R, process, L, Why} -> trace(Why) end.

serve() -> receive {ask, From} -> From ! {answer, self()}, serve() end.
