%% A timeout is not negative; one of 49 days is allowed.
-module(a_timeout_of_receive_has_bounds).
-include("scenario.hrl").

main() ->
    self() ! here,
    trace(outcome(fun() -> waiting(-1) end)),
    trace(waiting_for_any(4294967295)),
    trace(mailbox()).

waiting(T) -> receive nothing -> ok after T -> late end.

waiting_for_any(T) -> receive M -> M after T -> late end.
