%% restart_child wants a child that is there and does not run.
-module(restart_child_starts_a_stopped_child).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [child(a), child(b)]),
    A = up(a),
    trace(supervisor:restart_child(Sup, a)),
    trace(supervisor:restart_child(Sup, nobody)),
    supervisor:terminate_child(Sup, a),
    {ok, New} = supervisor:restart_child(Sup, a),
    trace({New =:= whereis(a), New =/= A}),
    trace(children(Sup)).
