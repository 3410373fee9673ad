%% spawn on another node; messages go to and fro.
-module(a_process_of_another_node_is_like_a_local_one).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    Main = self(),
    P = spawn(Node, fun() -> echo(Main) end),
    trace(P),
    P ! one,
    trace(next()),
    P ! {two, [P, Main]},
    trace(next()),
    trace(node(P)),
    trace(node()),
    trace(lists:member(Node, nodes())),
    trace(stop_echo(P)).

echo(Main) ->
    receive
        stop -> ok;
        M -> Main ! {echo, node(), M}, echo(Main)
    end.

stop_echo(P) ->
    R = monitor(process, P),
    P ! stop,
    receive {'DOWN', R, process, P, Why} -> Why end.
