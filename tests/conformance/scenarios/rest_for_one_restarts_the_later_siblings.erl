%% The later siblings stop in reverse, then start in order; the earlier ones stay.
-module(rest_for_one_restarts_the_later_siblings).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{strategy => rest_for_one},
                          [child(a), child(b), child(c), child(d)]),
    A = up(a),
    [up(N) || N <- [b, c, d]],
    die(b, crash),
    [up(N) || N <- [b, c, d]],
    trace(whereis(a) =:= A),
    trace(children(Sup)).
