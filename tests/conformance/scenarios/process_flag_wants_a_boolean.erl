%% trap_exit is true or false.
-module(process_flag_wants_a_boolean).
-include("scenario.hrl").

main() ->
    trace(outcome(fun() -> process_flag(trap_exit, 1) end)),
    trace(outcome(fun() -> process_flag(trap_exit, yes) end)),
    trace(process_flag(trap_exit, true)).
