%% Messages from one process to one of another node arrive in order.
-module(messages_to_another_node_keep_their_order).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    Main = self(),
    P = spawn(Node, fun() -> Main ! {got, take(50)} end),
    [P ! N || N <- lists:seq(1, 50)],
    receive {got, Ns} -> trace(Ns =:= lists:seq(1, 50)) end.

take(0) -> [];
take(N) -> receive M when is_integer(M) -> [M | take(N - 1)] end.
