%% Both sides of a link get noconnection.
-module(the_other_node_hears_of_a_lost_connection_too).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    Main = self(),
    P = spawn(Node, fun() ->
        process_flag(trap_exit, true),
        link(Main),
        R = monitor(process, Main),
        Main ! linked,
        receive {'EXIT', Main, Why} -> ok end,
        receive {'DOWN', R, process, Main, WhyDown} -> ok end,
        holding([Why, WhyDown])
    end),
    receive linked -> ok end,
    unlink(Main),
    Saved = process_flag(trap_exit, true),
    trace(Saved),
    disconnect_node(Node),
    receive {'EXIT', P, Lost} -> trace(Lost) end,
    trace(ask_again(P, 200)).

holding(What) -> receive {ask, From} -> From ! {held, What}, holding(What) end.

ask_again(_, 0) -> no_answer;
ask_again(P, N) ->
    P ! {ask, self()},
    receive {held, What} -> What after 20 -> ask_again(P, N - 1) end.
