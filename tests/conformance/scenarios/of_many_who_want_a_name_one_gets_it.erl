%% Of many processes that want a name one gets it, the others an error.
-module(of_many_who_want_a_name_one_gets_it).
-include("scenario.hrl").

main() ->
    Main = self(),
    Ps = [spawn(fun() ->
        receive go -> ok end,
        Main ! {tried, outcome(fun() -> register(name, self()) end)},
        idling()
    end) || _ <- [1, 2, 3, 4, 5]],
    [P ! go || P <- Ps],
    [receive {tried, R} -> trace_any(tries, R) end || _ <- Ps],
    [exit(P, kill) || P <- Ps],
    [gone(P) || P <- Ps],
    trace(whereis(name)).
