%% The supervisor ends when the last of its significant children has ended.
-module(auto_shutdown_all_significant_waits_for_the_last).
-include("supervised.hrl").

main() ->
    watch(),
    More = #{restart => transient, significant => true},
    {ok, Sup} = supervise(#{auto_shutdown => all_significant},
                          [child(a), child(b, More), child(c, More)]),
    [up(N) || N <- [a, b, c]],
    die(b, normal),
    settle(Sup),
    trace(children(Sup)),
    die(c, shutdown),
    receive {'EXIT', Sup, Why} -> trace({supervisor, Why}) end.

settle(Sup) ->
    case children(Sup) of
        [_, {b, undefined}, _] -> ok;
        _ -> settle(Sup)
    end.
