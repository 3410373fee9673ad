%% get/0 has all, get_keys those with a value, erase/0 returns all.
-module(the_process_dictionary_holds_many_keys).
-include("scenario.hrl").

main() ->
    put(a, 1),
    put(b, 1),
    put({c, 3}, 2),
    trace(lists:sort(get())),
    trace(lists:sort(get_keys())),
    trace(lists:sort(get_keys(1))),
    trace(lists:sort(erase())),
    trace(get()).
