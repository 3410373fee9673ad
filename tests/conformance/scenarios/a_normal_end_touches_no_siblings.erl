%% one_for_all and rest_for_one act on restarts, not on ends without one.
-module(a_normal_end_touches_no_siblings).
-include("supervised.hrl").

main() ->
    watch(),
    [try_with(S) || S <- [one_for_all, rest_for_one]].

try_with(Strategy) ->
    trace(Strategy),
    {ok, Sup} = supervise(#{strategy => Strategy},
                          [child(tr, #{restart => transient}), child(t, #{restart => temporary}),
                           child(a)]),
    [up(X) || X <- [tr, t, a]],
    die(tr, normal),
    die(t, crash),
    until(fun() -> children(Sup) =:= [{a, up}, {tr, undefined}] end),
    trace(children(Sup)),
    trace(supervisor:terminate_child(Sup, a)),
    trace(children(Sup)),
    trace(shut_down(Sup)).
