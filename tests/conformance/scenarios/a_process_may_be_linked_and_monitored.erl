%% Link and monitor each give their own message; their order is free.
-module(a_process_may_be_linked_and_monitored).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    P = spawn_link(fun() -> idling() end),
    R = monitor(process, P),
    trace({P, R}),
    P ! {stop, done},
    trace_any(ends, next()),
    trace_any(ends, next()),
    trace(mailbox()).
