%% A tree is stopped from the last leaf to the first.
-module(a_supervisor_that_is_stopped_stops_its_supervisors).
-include("supervised.hrl").

main() ->
    watch(),
    Inner = fun(Names) -> {ok, {#{}, [child(N) || N <- Names]}} end,
    {ok, Sup} = supervise(#{}, [sub(x, Inner([a, b])), child(m), sub(y, Inner([c, d]))]),
    [up(X) || X <- [a, b, m, c, d]],
    trace(supervisor:count_children(Sup)),
    trace([{I, T} || {I, _, T, _} <- supervisor:which_children(Sup)]),
    trace(shut_down(Sup)).

sub(Id, Spec) ->
    #{id => Id, type => supervisor, start => {supervisor, start_link, [?MODULE, Spec]}}.
