%% Registering a dead pid is an error.
-module(a_dead_process_cannot_be_registered).
-include("scenario.hrl").

main() ->
    P = dead(),
    trace(outcome(fun() -> register(name, P) end)),
    trace(whereis(name)).
