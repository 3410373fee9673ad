%% A reference that is no monitor, or none any more, is true.
-module(demonitor_of_an_unknown_reference_is_fine).
-include("scenario.hrl").

main() ->
    trace(demonitor(make_ref())),
    trace(demonitor(make_ref(), [flush])),
    R = monitor(process, dead()),
    trace(demonitor(R)),
    trace(demonitor(R)),
    trace(outcome(fun() -> demonitor(no_reference) end)).
