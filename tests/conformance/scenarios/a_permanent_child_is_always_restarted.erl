%% permanent: restarted after every reason.
-module(a_permanent_child_is_always_restarted).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{intensity => 10}, [child(a, #{restart => permanent})]),
    up(a),
    [again(Reason) || Reason <- [normal, shutdown, {shutdown, why}, crash]],
    trace(children(Sup)).

again(Reason) ->
    die(a, Reason),
    up(a).
