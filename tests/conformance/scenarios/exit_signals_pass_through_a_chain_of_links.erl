%% Each process of a chain ends with the same reason.
-module(exit_signals_pass_through_a_chain_of_links).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    Main = self(),
    P1 = spawn_link(fun() ->
        P2 = spawn_link(fun() ->
            P3 = spawn_link(fun() -> idling() end),
            Main ! {last, P3},
            idling()
        end),
        Main ! {middle, P2},
        idling()
    end),
    receive {middle, P2} -> ok end,
    receive {last, P3} -> ok end,
    R2 = monitor(process, P2),
    R3 = monitor(process, P3),
    trace({P1, P2, P3, R2, R3}),
    P3 ! {stop, broken},
    receive {'DOWN', R3, process, _, Why3} -> trace(Why3) end,
    receive {'DOWN', R2, process, _, Why2} -> trace(Why2) end,
    receive {'EXIT', P1, Why1} -> trace(Why1) end,
    trace(mailbox()).
