%% Behind a process that traps exits nobody is touched.
-module(a_process_that_traps_ends_a_chain).
-include("scenario.hrl").

main() ->
    Main = self(),
    Trapping = spawn(fun() ->
        process_flag(trap_exit, true),
        P = spawn_link(fun() -> idling() end),
        Main ! {child, P},
        Main ! {trapped, next()},
        idling()
    end),
    receive {child, P} -> ok end,
    Behind = spawn(fun() -> link(Trapping), Main ! linked, idling() end),
    receive linked -> ok end,
    trace({Trapping, P, Behind}),
    P ! {stop, broken},
    trace(next()),
    sync(Behind),
    trace(is_process_alive(Trapping)),
    trace(is_process_alive(Behind)).
