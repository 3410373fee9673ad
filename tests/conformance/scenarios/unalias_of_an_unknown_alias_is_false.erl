%% unalias says whether the alias was active.
-module(unalias_of_an_unknown_alias_is_false).
-include("scenario.hrl").

main() ->
    A = alias(),
    trace(unalias(A)),
    trace(unalias(A)),
    trace(unalias(make_ref())).
