%% Replies go to their callers, whatever the order of replying.
-module(callers_are_answered_each_for_itself).
-include("server.hrl").

main() ->
    P = server([]),
    Main = self(),
    Ps = [spawn(fun() ->
        A = gen_server:call(P, fun(From, S) ->
            case S of
                [Other] ->
                    gen_server:reply(From, second_first),
                    gen_server:reply(Other, first_second),
                    {noreply, []};
                [] -> Main ! waiting, {noreply, [From]}
            end
        end),
        Main ! {answer, N, A}
    end) || N <- [1, 2], first_waits(N)],
    receive {answer, 1, A1} -> trace(A1) end,
    receive {answer, 2, A2} -> trace(A2) end,
    trace(length(Ps)).

first_waits(1) -> true;
first_waits(2) -> receive waiting -> true end.
