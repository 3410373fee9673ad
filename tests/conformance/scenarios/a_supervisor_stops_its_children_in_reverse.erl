%% At shutdown the last child is stopped first, each with the reason shutdown.
-module(a_supervisor_stops_its_children_in_reverse).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [child(a), child(b), child(c)]),
    trace(shut_down(Sup)),
    trace([whereis(N) || N <- [a, b, c]]).
