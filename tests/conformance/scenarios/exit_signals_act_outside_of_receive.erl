%% A process that never receives is ended by an exit signal all the same.
-module(exit_signals_act_outside_of_receive).
-include("scenario.hrl").

main() ->
    P = spawn(fun() -> busy(0) end),
    R = monitor(process, P),
    exit(P, enough),
    trace(P),
    trace(R),
    receive {'DOWN', R, process, P, Reason} -> trace(Reason) end.

busy(N) -> put(count, N), busy(N + 1).
