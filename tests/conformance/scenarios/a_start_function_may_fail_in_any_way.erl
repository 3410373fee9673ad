%% An error, an exit or a wrong return value of a start function is its reason.
-module(a_start_function_may_fail_in_any_way).
-include("supervised.hrl").

main() ->
    watch(),
    [trace(try_start(What)) || What <- [{error, a}, {exit, b}, {return, c}]].

try_start(What) ->
    {error, {shutdown, {failed_to_start_child, bad, Why}}} =
        supervise(#{}, [#{id => bad, start => {?MODULE, refuse, [What]}}]),
    receive {'EXIT', _, _} -> Why end.

refuse({error, R}) -> error(R);
refuse({exit, R}) -> exit(R);
refuse({return, R}) -> R.
