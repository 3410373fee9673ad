%% transient: not after normal, shutdown and {shutdown, _}.
-module(a_transient_child_is_restarted_after_a_failure).
-include("supervised.hrl").

main() ->
    watch(),
    Names = [a, b, c, d],
    {ok, Sup} = supervise(#{intensity => 10},
                          [child(N, #{restart => transient}) || N <- Names]),
    [up(N) || N <- Names],
    die(a, normal),
    die(b, shutdown),
    die(c, {shutdown, why}),
    die(d, crash),
    up(d),
    settle(Sup, 3),
    trace(children(Sup)).

settle(Sup, Ended) ->
    case length([x || {_, undefined} <- children(Sup)]) of
        Ended -> ok;
        _ -> settle(Sup, Ended)
    end.
