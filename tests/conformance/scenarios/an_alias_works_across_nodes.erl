%% Messages through an alias come from anywhere, and are dropped after unalias.
-module(an_alias_works_across_nodes).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    Main = self(),
    A = alias(),
    B = alias([reply]),
    trace({A, B}),
    P = spawn(Node, fun() ->
        A ! 1, B ! 2, B ! 3, A ! 4,
        Main ! sent,
        receive again -> A ! 5, Main ! sent end
    end),
    receive sent -> ok end,
    trace(mailbox()),
    unalias(A),
    P ! again,
    receive sent -> ok end,
    trace(mailbox()).
