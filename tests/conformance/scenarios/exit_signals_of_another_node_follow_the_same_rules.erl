%% normal is dropped, kill can't be trapped, all else can.
-module(exit_signals_of_another_node_follow_the_same_rules).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    Main = self(),
    T = spawn(Node, fun() -> process_flag(trap_exit, true), Main ! ready, trapping(Main) end),
    receive ready -> ok end,
    U = spawn(Node, fun() -> idling() end),
    trace({T, U}),
    exit(T, normal), trace(next()),
    exit(T, because), trace(next()),
    exit(U, normal), sync(U), trace(alive),
    RU = monitor(process, U),
    exit(U, because),
    trace(receive {'DOWN', RU, process, U, X} -> X end),
    RT = monitor(process, T),
    exit(T, kill),
    trace(receive {'DOWN', RT, process, T, Y} -> Y end),
    exit(T, kill),
    trace(mailbox()).

trapping(Main) -> receive M -> Main ! {got, M}, trapping(Main) end.
