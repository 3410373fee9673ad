%% After exit(P, kill) the same process finds P dead.
-module(an_exit_signal_is_seen_by_who_asks_next).
-include("scenario.hrl").

main() ->
    [once(N) || N <- [1, 2, 3, 4, 5]].

once(N) ->
    P = idle(),
    exit(P, kill),
    trace({N, is_process_alive(P)}).
