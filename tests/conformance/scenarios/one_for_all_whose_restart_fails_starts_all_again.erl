%% If a child fails to start at a restart, those before it are stopped and all
%% are tried again.
-module(one_for_all_whose_restart_fails_starts_all_again).
-include("supervised.hrl").

main() ->
    watch(),
    register(switch, spawn(fun() -> switch([good, bad, good]) end)),
    {ok, Sup} = supervise(#{strategy => one_for_all, intensity => 5},
                          [child(a), #{id => b, start => {?MODULE, perhaps, [b]}}, child(d)]),
    [up(X) || X <- [a, b, d]],
    die(d, crash),
    up(a),
    [up(X) || X <- [a, b, d]],
    trace(children(Sup)),
    trace(shut_down(Sup)).

perhaps(Name) ->
    switch ! {ask, self()},
    receive {switch, good} -> start_worker(Name); {switch, bad} -> trace({refused, Name}), {error, no} end.

switch([]) -> ok;
switch([X | Rest]) -> receive {ask, From} -> From ! {switch, X}, switch(Rest) end.
