%% A child does not see its parent's dictionary.
-module(each_process_has_its_own_dictionary).
-include("scenario.hrl").

main() ->
    put(key, parent),
    P = spawn(fun() -> trace(get(key)), put(key, child) end),
    gone(P),
    trace(get(key)).
