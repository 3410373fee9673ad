%% start_child starts a child behind the others.
-module(start_child_adds_a_child).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [child(a)]),
    {ok, B} = supervisor:start_child(Sup, child(b)),
    trace(B =:= up(b)),
    trace(children(Sup)),
    trace(shut_down(Sup)).
