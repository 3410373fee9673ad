%% At shutdown all children are told at the same time; their order is free.
-module(simple_one_for_one_stops_all_at_once).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{strategy => simple_one_for_one},
                          [#{id => any, start => {?MODULE, start_free, []}}]),
    [supervisor:start_child(Sup, [N]) || N <- [a, b, c]],
    trace(shut_down(Sup)).

start_free(Name) ->
    Parent = self(),
    P = spawn_link(fun() ->
        process_flag(trap_exit, true),
        Parent ! {started, self()},
        receive {'EXIT', _, Why} -> trace_any(stops, {Name, Why}), exit(Why) end
    end),
    receive {started, P} -> {ok, P} end.
