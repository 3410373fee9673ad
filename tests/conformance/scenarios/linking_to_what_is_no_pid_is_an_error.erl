%% link, unlink, monitor and exit want a pid.
-module(linking_to_what_is_no_pid_is_an_error).
-include("scenario.hrl").

main() ->
    trace(outcome(fun() -> link(name) end)),
    trace(outcome(fun() -> unlink(17) end)),
    trace(outcome(fun() -> exit(name, reason) end)),
    trace(outcome(fun() -> monitor(process, 17) end)).
