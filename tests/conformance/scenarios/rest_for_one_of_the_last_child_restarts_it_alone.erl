%% Nobody comes after the last child.
-module(rest_for_one_of_the_last_child_restarts_it_alone).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{strategy => rest_for_one}, [child(a), child(b)]),
    A = up(a),
    up(b),
    die(b, crash),
    up(b),
    trace(whereis(a) =:= A),
    trace(children(Sup)).
