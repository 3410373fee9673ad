%% {ok, Pid, Info} of a start function is what start_child returns.
-module(a_start_may_give_more_than_the_pid).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, []),
    {ok, P, more} = supervisor:start_child(Sup, #{id => a, start => {?MODULE, start_more, [a]}}),
    trace(P =:= up(a)),
    supervisor:terminate_child(Sup, a),
    {ok, Q, more} = supervisor:restart_child(Sup, a),
    trace(Q =:= up(a)),
    trace(shut_down(Sup)).

start_more(Name) ->
    {ok, P} = start_worker(Name),
    {ok, P, more}.
