%% Later temporary siblings are stopped and not started again; earlier ones stay.
-module(rest_for_one_leaves_temporary_children_out).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{strategy => rest_for_one},
                          [child(s, #{restart => temporary}), child(a),
                           child(t, #{restart => temporary}), child(d)]),
    [up(X) || X <- [s, a, t, d]],
    die(a, crash),
    [up(X) || X <- [a, d]],
    trace(children(Sup)),
    trace(shut_down(Sup)).
