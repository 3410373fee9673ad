%% Only its normal end counts for auto_shutdown, and any end of a temporary one.
-module(a_significant_transient_child_that_fails_is_restarted).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{auto_shutdown => any_significant, intensity => 3},
                          [child(a), child(tr, #{restart => transient, significant => true})]),
    [up(X) || X <- [a, tr]],
    die(tr, crash),
    up(tr),
    trace(children(Sup)),
    die(tr, {shutdown, done}),
    receive {'EXIT', Sup, Why} -> trace(Why) end,
    {ok, Sup2} = supervise(#{auto_shutdown => any_significant},
                           [child(a), child(t, #{restart => temporary, significant => true})]),
    [up(X) || X <- [a, t]],
    die(t, crash),
    receive {'EXIT', Sup2, Why2} -> trace(Why2) end.
