%% Significant children that are stopped for the sake of others do not count.
-module(auto_shutdown_of_one_for_all_counts_the_restarted).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{strategy => one_for_all, auto_shutdown => all_significant},
                          [child(a), child(x, #{restart => transient, significant => true}),
                           child(y, #{restart => transient, significant => true})]),
    [up(X) || X <- [a, x, y]],
    die(a, crash),
    [up(X) || X <- [a, x, y]],
    die(x, normal),
    until(fun() -> lists:member({x, undefined}, children(Sup)) end),
    trace(children(Sup)),
    die(y, normal),
    receive {'EXIT', Sup, Why} -> trace(Why) end.
