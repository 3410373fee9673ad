%% delete_child forgets a specification whose child does not run.
-module(delete_child_wants_a_stopped_child).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [child(a), child(b)]),
    trace(supervisor:delete_child(Sup, a)),
    trace(supervisor:delete_child(Sup, nobody)),
    supervisor:terminate_child(Sup, a),
    trace(supervisor:delete_child(Sup, a)),
    trace(supervisor:restart_child(Sup, a)),
    trace(children(Sup)).
