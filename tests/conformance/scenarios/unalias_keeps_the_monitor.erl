%% unalias ends only the alias of a monitor.
-module(unalias_keeps_the_monitor).
-include("scenario.hrl").

main() ->
    P = idle(),
    R = monitor(process, P, [{alias, demonitor}]),
    trace({P, R}),
    trace(unalias(R)),
    R ! dropped,
    P ! {stop, done},
    trace(next()),
    trace(mailbox()).
