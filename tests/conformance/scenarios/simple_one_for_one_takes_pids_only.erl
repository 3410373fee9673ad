%% What ids are good for elsewhere is refused under simple_one_for_one.
-module(simple_one_for_one_takes_pids_only).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{strategy => simple_one_for_one},
                          [#{id => w, start => {?MODULE, start_worker, []}}]),
    {ok, P} = supervisor:start_child(Sup, [a]),
    trace(P),
    trace(supervisor:terminate_child(Sup, w)),
    trace(supervisor:restart_child(Sup, P)),
    trace(supervisor:delete_child(Sup, P)),
    trace(supervisor:restart_child(Sup, w)),
    trace(supervisor:terminate_child(Sup, dead())),
    trace(supervisor:which_children(Sup)),
    trace(supervisor:count_children(Sup)),
    trace(supervisor:terminate_child(Sup, P)),
    trace(supervisor:which_children(Sup)),
    trace(supervisor:count_children(Sup)),
    trace(shut_down(Sup)).
