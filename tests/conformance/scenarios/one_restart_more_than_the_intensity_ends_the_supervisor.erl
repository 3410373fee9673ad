%% The third restart within the period is too much: the supervisor stops its
%% children and exits with shutdown.
-module(one_restart_more_than_the_intensity_ends_the_supervisor).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{intensity => 2, period => 60}, [child(a), child(b)]),
    up(a), up(b),
    die(a, crash), up(a),
    die(b, crash), up(b),
    die(b, crash),
    receive {'EXIT', Sup, Why} -> trace({supervisor, Why}) end,
    trace({whereis(a), whereis(b)}).
