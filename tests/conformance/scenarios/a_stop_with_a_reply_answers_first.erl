%% {stop, Reason, Reply, State}: the reply comes, after terminate.
-module(a_stop_with_a_reply_answers_first).
-include("server.hrl").

main() ->
    P = server(state),
    R = monitor(process, P),
    trace(gen_server:call(P, fun(_, S) -> {stop, normal, bye, S} end)),
    receive {'DOWN', R, process, P, Why} -> trace({down, Why}) end.
