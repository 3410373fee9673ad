%% shutdown => brutal_kill ends the child with kill: it cannot say anything.
-module(a_brutal_kill_is_at_once).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [child(a), child(b, #{shutdown => brutal_kill})]),
    R = monitor(process, b),
    up(a), up(b),
    trace(shut_down(Sup)),
    receive {'DOWN', R, process, _, Why} -> trace({b, Why}) end.
