%% The exit of the parent, whatever its reason, stops supervisor and children.
-module(a_supervisor_ends_with_its_parent).
-include("supervised.hrl").

main() ->
    watch(),
    Parent = spawn(fun() ->
        supervise(#{}, [child(a), child(b)]),
        idling()
    end),
    A = up(a),
    up(b),
    R = monitor(process, A),
    Ended = stop(Parent, parent_ends),
    receive {'DOWN', R, process, A, Why} -> trace({down, Why}) end,
    trace(Ended).
