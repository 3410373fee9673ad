%% A supervisor stops also a child that is not linked to it.
-module(a_start_function_may_start_no_linked_child).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [#{id => free, start => {?MODULE, start_free, []}}, child(a)]),
    [{a, _, _, _}, {free, P, _, _}] = supervisor:which_children(Sup),
    R = monitor(process, P),
    trace({P, R}),
    trace(shut_down(Sup)),
    receive {'DOWN', R, process, P, Why} -> trace(Why) end.

start_free() -> {ok, spawn(fun() -> receive stop -> ok end end)}.
