%% A start function that says ignore at a restart leaves a child without process.
-module(a_restart_may_be_ignored).
-include("supervised.hrl").

main() ->
    watch(),
    register(switch, spawn(fun() -> switch(first) end)),
    {ok, Sup} = supervise(#{}, [#{id => a, start => {?MODULE, once, []}}, child(b)]),
    [up(X) || X <- [a, b]],
    die(a, crash),
    until(fun() -> lists:member({a, undefined}, children(Sup)) end),
    trace(children(Sup)),
    trace(supervisor:restart_child(Sup, a)),
    trace(children(Sup)),
    trace(supervisor:count_children(Sup)),
    trace(shut_down(Sup)).

once() ->
    switch ! {ask, self()},
    receive {switch, first} -> start_worker(a); {switch, later} -> trace(ignored), ignore end.

switch(State) -> receive {ask, From} -> From ! {switch, State}, switch(later) end.
