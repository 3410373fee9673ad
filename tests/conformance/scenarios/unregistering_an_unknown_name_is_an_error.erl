%% unregister wants a name that somebody has.
-module(unregistering_an_unknown_name_is_an_error).
-include("scenario.hrl").

main() ->
    trace(outcome(fun() -> unregister(nobody) end)),
    register(me, self()),
    trace(unregister(me)),
    trace(outcome(fun() -> unregister(me) end)).
