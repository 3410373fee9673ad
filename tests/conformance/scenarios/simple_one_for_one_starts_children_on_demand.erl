%% start_child adds arguments to those of the one child specification.
-module(simple_one_for_one_starts_children_on_demand).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = simple(),
    trace(supervisor:which_children(Sup)),
    {ok, A} = supervisor:start_child(Sup, [a]),
    {ok, B} = supervisor:start_child(Sup, [b]),
    trace({A =:= whereis(a), B =:= whereis(b)}),
    trace(children(Sup)),
    trace(supervisor:count_children(Sup)).

simple() ->
    supervise(#{strategy => simple_one_for_one},
              [#{id => any, start => {?MODULE, start_worker, []}}]).
