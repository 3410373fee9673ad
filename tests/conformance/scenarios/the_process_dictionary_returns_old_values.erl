%% put and erase return what was there, or undefined.
-module(the_process_dictionary_returns_old_values).
-include("scenario.hrl").

main() ->
    trace(put(key, 1)),
    trace(put(key, 2)),
    trace(get(key)),
    trace(erase(key)),
    trace(erase(key)),
    trace(get(key)).
