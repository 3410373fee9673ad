%% {Name, Node} ! Message; unknown names are silent.
-module(a_remote_name_is_reached_by_name_and_node).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    Main = self(),
    P = spawn(Node, fun() ->
        register(there, self()),
        Main ! ready,
        receive M -> Main ! {there, got, M} end,
        receive never -> ok end
    end),
    receive ready -> ok end,
    {nobody, Node} ! hello,
    {there, Node} ! hello,
    trace(next()),
    trace(whereis(there)),
    exit(P, kill),
    trace(mailbox()).
