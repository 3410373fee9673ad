%% A child that ended is started again as it was.
-module(simple_one_for_one_restarts_a_child_with_its_arguments).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = simple(),
    supervisor:start_child(Sup, [a]),
    supervisor:start_child(Sup, [b]),
    up(a),
    B = up(b),
    die(a, crash),
    up(a),
    trace(whereis(b) =:= B),
    trace(children(Sup)).

simple() ->
    supervise(#{strategy => simple_one_for_one},
              [#{id => any, start => {?MODULE, start_worker, []}}]).
