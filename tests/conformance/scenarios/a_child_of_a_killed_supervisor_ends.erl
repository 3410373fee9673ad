%% When a supervisor is killed its children end with killed over their links.
-module(a_child_of_a_killed_supervisor_ends).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [child(a)]),
    A = up(a),
    R = monitor(process, A),
    exit(Sup, kill),
    receive {'DOWN', R, process, A, WhyA} -> trace({child, WhyA}) end,
    receive {'EXIT', Sup, Why} -> trace({supervisor, Why}) end.
