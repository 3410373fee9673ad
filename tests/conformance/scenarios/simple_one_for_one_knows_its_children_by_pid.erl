%% terminate_child takes a pid; restart and delete do not exist there.
-module(simple_one_for_one_knows_its_children_by_pid).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{strategy => simple_one_for_one},
                          [#{id => any, start => {?MODULE, start_worker, []}}]),
    {ok, A} = supervisor:start_child(Sup, [a]),
    trace(supervisor:terminate_child(Sup, any)),
    trace(supervisor:restart_child(Sup, any)),
    trace(supervisor:delete_child(Sup, any)),
    trace(supervisor:terminate_child(Sup, A)),
    trace(supervisor:terminate_child(Sup, self())),
    trace(supervisor:which_children(Sup)).
