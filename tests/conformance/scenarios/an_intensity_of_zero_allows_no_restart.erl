%% With intensity 0 the first failure ends the supervisor.
-module(an_intensity_of_zero_allows_no_restart).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{intensity => 0}, [child(a), child(b)]),
    up(a), up(b),
    die(a, crash),
    receive {'EXIT', Sup, Why} -> trace({supervisor, Why}) end.
