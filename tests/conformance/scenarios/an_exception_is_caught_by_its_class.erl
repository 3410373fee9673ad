%% throw, error and exit are three classes; a clause without class means throw.
-module(an_exception_is_caught_by_its_class).
-include("scenario.hrl").

main() ->
    [trace(classified(F)) || F <- [
        fun() -> throw(a) end,
        fun() -> error(b) end,
        fun() -> exit(c) end,
        fun() -> d end]].

classified(F) ->
    try F() of
        V -> {returned, V}
    catch
        X -> {thrown, X};
        error:X -> {error, X};
        exit:X -> {exit, X}
    end.
