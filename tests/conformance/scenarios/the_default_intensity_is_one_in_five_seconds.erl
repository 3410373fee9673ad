%% Without flags a second restart within five seconds ends the supervisor.
-module(the_default_intensity_is_one_in_five_seconds).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [child(a)]),
    up(a),
    die(a, crash), up(a),
    die(a, crash),
    receive {'EXIT', Sup, Why} -> trace({supervisor, Why}) end.
