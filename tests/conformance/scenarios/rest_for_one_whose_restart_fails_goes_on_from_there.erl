%% If a child fails to start at a restart, it and the later ones are tried again.
-module(rest_for_one_whose_restart_fails_goes_on_from_there).
-include("supervised.hrl").

main() ->
    watch(),
    register(switch, spawn(fun() -> switch([good, bad, good]) end)),
    {ok, Sup} = supervise(#{strategy => rest_for_one, intensity => 5},
                          [child(a), #{id => b, start => {?MODULE, perhaps, [b]}}, child(d)]),
    [up(X) || X <- [a, b, d]],
    die(a, crash),
    [up(X) || X <- [a, b, d]],
    trace(children(Sup)),
    trace(shut_down(Sup)).

perhaps(Name) ->
    switch ! {ask, self()},
    receive {switch, good} -> start_worker(Name); {switch, bad} -> trace({refused, Name}), {error, no} end.

switch([]) -> ok;
switch([X | Rest]) -> receive {ask, From} -> From ! {switch, X}, switch(Rest) end.
