%% Temporary siblings are stopped with the others and not started again.
-module(one_for_all_leaves_temporary_children_out).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{strategy => one_for_all},
                          [child(a), child(t, #{restart => temporary}),
                           child(tr, #{restart => transient}), child(d)]),
    [up(X) || X <- [a, t, tr, d]],
    die(a, crash),
    [up(X) || X <- [a, tr, d]],
    trace(children(Sup)),
    trace(shut_down(Sup)).
