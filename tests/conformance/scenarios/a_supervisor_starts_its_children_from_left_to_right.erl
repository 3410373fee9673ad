%% Each child is started when the one before it has been.
-module(a_supervisor_starts_its_children_from_left_to_right).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [child(a), child(b), child(c)]),
    trace(supervised),
    trace(children(Sup)).
