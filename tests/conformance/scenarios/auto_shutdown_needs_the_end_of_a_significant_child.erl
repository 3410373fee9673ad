%% A transient significant child that crashes is restarted, the supervisor stays.
-module(auto_shutdown_needs_the_end_of_a_significant_child).
-include("supervised.hrl").

main() ->
    watch(),
    More = #{restart => transient, significant => true},
    {ok, Sup} = supervise(#{auto_shutdown => any_significant}, [child(a, More)]),
    up(a),
    die(a, crash),
    up(a),
    trace(children(Sup)),
    die(a, {shutdown, done}),
    receive {'EXIT', Sup, Why} -> trace({supervisor, Why}) end.
