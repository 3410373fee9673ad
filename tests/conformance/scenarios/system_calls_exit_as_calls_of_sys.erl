%% What sys asks of nobody exits with the call of sys.
-module(system_calls_exit_as_calls_of_sys).
-include("server.hrl").

main() ->
    P = dead(),
    trace(P),
    trace(outcome(fun() -> sys:get_state(P) end)),
    trace(outcome(fun() -> sys:suspend(P) end)),
    trace(outcome(fun() -> sys:resume(nobody) end)),
    trace({self(), outcome(fun() -> sys:get_state(self()) end)}).
