%% process_flag(trap_exit, Bool) returns what it was before.
-module(process_flag_returns_the_old_value).
-include("scenario.hrl").

main() ->
    trace(process_flag(trap_exit, true)),
    trace(process_flag(trap_exit, true)),
    trace(process_flag(trap_exit, false)),
    trace(process_flag(trap_exit, false)),
    trace(outcome(fun() -> process_flag(trap_exit, maybe_so) end)).
