%% A start function that throws at a restart counts as a restart that failed.
-module(a_throw_at_a_restart_is_tried_again).
-include("supervised.hrl").

main() ->
    watch(),
    register(switch, spawn(fun() -> switch(first) end)),
    {ok, Sup} = supervise(#{intensity => 3}, [#{id => a, start => {?MODULE, once, []}}]),
    up(a),
    die(a, crash),
    receive {'EXIT', Sup, Reason} -> trace(Reason) end.

%% Works the first time only.
once() ->
    switch ! {ask, self()},
    receive {switch, first} -> start_worker(a); {switch, later} -> trace(throwing), throw(no) end.

switch(State) -> receive {ask, From} -> From ! {switch, State}, switch(later) end.
