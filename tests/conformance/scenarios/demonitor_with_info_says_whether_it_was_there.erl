%% With info the result is whether the monitor was found; with flush also whether
%% no message had to be flushed.
-module(demonitor_with_info_says_whether_it_was_there).
-include("scenario.hrl").

main() ->
    P = idle(),
    R = monitor(process, P),
    trace(demonitor(R, [info])),
    trace(demonitor(R, [info])),
    R2 = monitor(process, P),
    trace(demonitor(R2, [flush, info])),
    trace(demonitor(R2, [flush, info])),
    trace(stop(P, done)).
