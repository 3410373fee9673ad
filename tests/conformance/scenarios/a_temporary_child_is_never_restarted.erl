%% temporary: the child is forgotten after every reason.
-module(a_temporary_child_is_never_restarted).
-include("supervised.hrl").

main() ->
    watch(),
    Names = [a, b, c, d],
    {ok, Sup} = supervise(#{intensity => 0},
                          [child(N, #{restart => temporary}) || N <- Names]),
    [up(N) || N <- Names],
    die(a, normal),
    die(b, shutdown),
    die(c, {shutdown, why}),
    settle(Sup, 1),
    trace(children(Sup)),
    die(d, crash),
    settle(Sup, 0),
    trace(children(Sup)),
    trace(supervisor:restart_child(Sup, a)).

settle(Sup, Left) ->
    case length(children(Sup)) of
        Left -> ok;
        _ -> settle(Sup, Left)
    end.
