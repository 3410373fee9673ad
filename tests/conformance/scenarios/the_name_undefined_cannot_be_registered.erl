%% undefined is no name, nor is what is no atom.
-module(the_name_undefined_cannot_be_registered).
-include("scenario.hrl").

main() ->
    trace(outcome(fun() -> register(undefined, self()) end)),
    trace(outcome(fun() -> register(17, self()) end)),
    trace(outcome(fun() -> register(name, no_pid) end)).
