%% The child is stopped and not restarted, its specification stays.
-module(terminate_child_keeps_the_specification).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [child(a), child(b)]),
    trace(supervisor:terminate_child(Sup, a)),
    trace(children(Sup)),
    trace(supervisor:terminate_child(Sup, a)),
    trace(supervisor:terminate_child(Sup, nobody)),
    trace(supervisor:count_children(Sup)).
