%% The siblings of a child that ended are not touched.
-module(one_for_one_restarts_only_the_child_that_ended).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{strategy => one_for_one}, [child(a), child(b), child(c)]),
    A = up(a), B = up(b), C = up(c),
    die(b, crash),
    trace(up(b) =/= B),
    trace({whereis(a) =:= A, whereis(c) =:= C}),
    trace(children(Sup)).
