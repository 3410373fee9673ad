%% A name that nobody has is down at once, as {Name, Node} with noproc.
-module(a_monitor_of_an_unregistered_name_answers_at_once).
-include("scenario.hrl").

main() ->
    R = monitor(process, nobody),
    trace(R),
    trace(next()),
    R2 = monitor(process, {nobody, node()}),
    trace(R2),
    trace(next()).
