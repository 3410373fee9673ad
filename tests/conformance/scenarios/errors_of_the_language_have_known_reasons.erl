%% badmatch, case_clause, function_clause, if_clause, badarith, undef, badfun, badarg.
-module(errors_of_the_language_have_known_reasons).
-include("scenario.hrl").

main() ->
    [trace(outcome(F)) || F <- [
        fun() -> {a, _} = id({b, 1}) end,
        fun() -> case id(1) of 2 -> ok end end,
        fun() -> only_one(id(2)) end,
        fun() -> if 1 =:= 2 -> ok; true =:= false -> ok end end,
        fun() -> id(1) + id(atom) end,
        fun() -> id(1) div id(0) end,
        fun() -> ?MODULE:no_such_function() end,
        fun() -> (id(17))() end,
        fun() -> (id(fun() -> ok end))(1) =:= id(1) end,
        fun() -> element(3, id({a, b})) end,
        fun() -> hd(id([])) end,
        fun() -> try id(1) of 2 -> ok catch _:_ -> wrong end end
    ]].

id(X) -> X.
only_one(1) -> ok.
