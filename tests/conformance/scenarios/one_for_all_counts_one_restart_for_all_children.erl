%% Restarting three children together is one restart.
-module(one_for_all_counts_one_restart_for_all_children).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{strategy => one_for_all, intensity => 1},
                          [child(a), child(b), child(c)]),
    [up(N) || N <- [a, b, c]],
    die(a, crash),
    [up(N) || N <- [a, b, c]],
    trace(children(Sup)),
    die(b, crash),
    receive {'EXIT', Sup, Why} -> trace({supervisor, Why}) end.
