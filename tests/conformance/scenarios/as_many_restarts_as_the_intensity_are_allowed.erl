%% With intensity 2 in a long period two restarts are allowed.
-module(as_many_restarts_as_the_intensity_are_allowed).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{intensity => 2, period => 60}, [child(a), child(b)]),
    up(a), up(b),
    die(a, crash), up(a),
    die(b, crash), up(b),
    trace(children(Sup)),
    trace(mailbox()).
