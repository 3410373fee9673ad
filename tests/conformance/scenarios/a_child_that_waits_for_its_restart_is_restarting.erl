%% While its start fails a child is shown as restarting, and can be terminated.
-module(a_child_that_waits_for_its_restart_is_restarting).
-include("supervised.hrl").

main() ->
    watch(),
    Main = self(),
    register(switch, spawn(fun() -> switch(Main, 0) end)),
    {ok, Sup} = supervise(#{intensity => 1000000}, [#{id => b, start => {?MODULE, perhaps, [b]}}]),
    up(b),
    die(b, crash),
    receive failing -> ok end,
    trace(children(Sup)),
    trace(supervisor:restart_child(Sup, b)),
    trace(supervisor:delete_child(Sup, b)),
    trace(supervisor:count_children(Sup)),
    trace(supervisor:terminate_child(Sup, b)),
    trace(children(Sup)),
    trace(supervisor:delete_child(Sup, b)),
    trace(shut_down(Sup)).

perhaps(Name) ->
    switch ! {ask, self()},
    receive {switch, good} -> start_worker(Name); {switch, bad} -> {error, no} end.

%% Good for the first time only.
switch(Main, N) ->
    receive {ask, From} ->
        case N of
            0 -> From ! {switch, good};
            1 -> From ! {switch, bad}, Main ! failing;
            _ -> From ! {switch, bad}
        end
    end,
    switch(Main, N + 1).
