%% A chain over processes that do not trap carries the first reason.
-module(the_reason_of_the_first_end_goes_through_a_chain).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    Main = self(),
    A = spawn_link(fun() ->
        B = spawn_link(fun() ->
            C = spawn_link(fun() -> receive go -> exit({why, 1}) end end),
            Main ! {pids, self(), C},
            receive never -> ok end
        end),
        Main ! {top, B},
        receive never -> ok end
    end),
    {B, C} = receive {pids, X, Y} -> {X, Y} end,
    receive {top, B} -> ok end,
    [monitor(process, P) || P <- [A, B, C]],
    trace({A, B, C}),
    C ! go,
    [trace(receive {'DOWN', _, process, P, Why} -> {P, Why} end) || P <- [A, B, C]],
    trace(next()),
    trace(mailbox()).
