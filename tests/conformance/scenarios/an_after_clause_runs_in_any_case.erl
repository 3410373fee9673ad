%% `after` runs when the body returns, and when it raises.
-module(an_after_clause_runs_in_any_case).
-include("scenario.hrl").

main() ->
    trace(try one after trace(after_one) end),
    trace(outcome(fun() -> try exit(two) after trace(after_two) end end)),
    trace(outcome(fun() ->
        try throw(three) catch three -> error(four) after trace(after_three) end
    end)).
