%% The error of the start function is what restart_child returns.
-module(restart_child_that_fails_leaves_the_child_stopped).
-include("supervised.hrl").

main() ->
    watch(),
    register(switch, spawn(fun() -> switch([good, bad, good]) end)),
    {ok, Sup} = supervise(#{}, [#{id => b, start => {?MODULE, perhaps, [b]}}]),
    up(b),
    trace(supervisor:terminate_child(Sup, b)),
    trace(supervisor:restart_child(Sup, b)),
    trace(children(Sup)),
    {ok, _} = supervisor:restart_child(Sup, b),
    trace(children(Sup)),
    trace(shut_down(Sup)).

perhaps(Name) ->
    switch ! {ask, self()},
    receive {switch, good} -> start_worker(Name); {switch, bad} -> {error, {no, Name}} end.

switch([]) -> ok;
switch([X | Rest]) -> receive {ask, From} -> From ! {switch, X}, switch(Rest) end.
