%% {already_started, Pid} if it runs, already_present if it does not.
-module(start_child_of_a_known_id_is_an_error).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [child(a)]),
    A = up(a),
    trace(A),
    trace(supervisor:start_child(Sup, child(a))),
    supervisor:terminate_child(Sup, a),
    trace(supervisor:start_child(Sup, child(a))).
