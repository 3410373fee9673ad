%% A running child can't be restarted or deleted, an unknown one nothing at all.
-module(operations_on_a_child_depend_on_its_state).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [child(a), child(t, #{restart => temporary}),
                                child(tr, #{restart => transient})]),
    trace(supervisor:restart_child(Sup, a)),
    trace(supervisor:delete_child(Sup, a)),
    [trace(F(Sup, nobody)) || F <- [fun(S, I) -> supervisor:restart_child(S, I) end,
                                    fun(S, I) -> supervisor:delete_child(S, I) end,
                                    fun(S, I) -> supervisor:terminate_child(S, I) end,
                                    fun(S, I) -> supervisor:get_childspec(S, I) end]],
    trace(supervisor:terminate_child(Sup, t)),
    trace(supervisor:delete_child(Sup, t)),
    trace(supervisor:terminate_child(Sup, a)),
    trace(supervisor:terminate_child(Sup, a)),
    trace(children(Sup)),
    up(tr),
    die(tr, normal),
    until(fun() -> lists:member({tr, undefined}, children(Sup)) end),
    trace(supervisor:count_children(Sup)),
    trace(supervisor:delete_child(Sup, tr)),
    trace(children(Sup)),
    trace(shut_down(Sup)).
