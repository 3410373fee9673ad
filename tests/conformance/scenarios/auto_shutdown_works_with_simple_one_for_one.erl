%% All children are significant then.
-module(auto_shutdown_works_with_simple_one_for_one).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{strategy => simple_one_for_one, auto_shutdown => all_significant},
                          [#{id => w, start => {?MODULE, start_worker, []},
                             restart => transient, significant => true}]),
    {ok, _} = supervisor:start_child(Sup, [a]),
    {ok, _} = supervisor:start_child(Sup, [b]),
    [up(X) || X <- [a, b]],
    die(a, normal),
    until(fun() -> length(supervisor:which_children(Sup)) =:= 1 end),
    trace(children(Sup)),
    die(b, normal),
    receive {'EXIT', Sup, Why} -> trace(Why) end.
