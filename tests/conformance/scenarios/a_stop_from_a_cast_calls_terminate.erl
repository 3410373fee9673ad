%% {stop, Reason, State} calls terminate and exits with the reason.
-module(a_stop_from_a_cast_calls_terminate).
-include("server.hrl").

main() ->
    [once(Reason) || Reason <- [normal, shutdown, {shutdown, why}, other]].

once(Reason) ->
    P = server({state, Reason}),
    R = monitor(process, P),
    gen_server:cast(P, fun(S) -> {stop, Reason, S} end),
    receive {'DOWN', R, process, P, Why} -> trace({down, Why}) end.
