%% A name belongs to one process at a time, also for the one who has it.
-module(a_name_that_is_taken_is_an_error).
-include("scenario.hrl").

main() ->
    register(name, self()),
    P = idle(),
    trace(outcome(fun() -> register(name, P) end)),
    trace(outcome(fun() -> register(name, self()) end)),
    trace(whereis(name) =:= self()),
    trace(stop(P, normal)).
