%% A restart of one_for_all starts all children, those too that had ended.
-module(one_for_all_starts_also_what_had_been_stopped).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{strategy => one_for_all},
                          [child(a), child(b), child(tr, #{restart => transient})]),
    [up(X) || X <- [a, b, tr]],
    trace(supervisor:terminate_child(Sup, a)),
    die(tr, normal),
    until(fun() -> children(Sup) =:= [{tr, undefined}, {b, up}, {a, undefined}] end),
    trace(children(Sup)),
    die(b, crash),
    [up(X) || X <- [a, b, tr]],
    trace(children(Sup)),
    trace(shut_down(Sup)).
