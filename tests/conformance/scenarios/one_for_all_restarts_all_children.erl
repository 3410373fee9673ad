%% When one ends, the others are stopped in reverse, then all start in order.
-module(one_for_all_restarts_all_children).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{strategy => one_for_all}, [child(a), child(b), child(c)]),
    [up(N) || N <- [a, b, c]],
    die(b, crash),
    [up(N) || N <- [a, b, c]],
    trace(children(Sup)).
