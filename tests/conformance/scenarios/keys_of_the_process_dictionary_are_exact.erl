%% 1 and 1.0 are two keys.
-module(keys_of_the_process_dictionary_are_exact).
-include("scenario.hrl").

main() ->
    put(1, integer),
    trace(put(1.0, float)),
    trace(get(1)),
    trace(get(1.0)).
