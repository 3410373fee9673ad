%% A child that is tried again and again does not keep its supervisor from ending.
-module(a_supervisor_is_stopped_while_a_child_fails_to_start).
-include("supervised.hrl").

main() ->
    watch(),
    Main = self(),
    register(switch, spawn(fun() -> switch(Main, 0) end)),
    {ok, Sup} = supervise(#{intensity => 1000000},
                          [child(a), #{id => b, start => {?MODULE, perhaps, [b]}}, child(d)]),
    [up(X) || X <- [a, b, d]],
    die(b, crash),
    receive failing -> ok end,
    trace(shut_down(Sup)).

perhaps(Name) ->
    switch ! {ask, self()},
    receive {switch, good} -> start_worker(Name); {switch, bad} -> {error, no} end.

switch(Main, N) ->
    receive {ask, From} ->
        case N of
            0 -> From ! {switch, good};
            1 -> From ! {switch, bad}, Main ! failing;
            _ -> From ! {switch, bad}
        end
    end,
    switch(Main, N + 1).
