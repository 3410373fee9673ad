%% A server that traps exits is terminated with its parent's reason.
-module(the_exit_of_the_parent_calls_terminate).
-include("server.hrl").

main() ->
    Main = self(),
    {Parent, R} = spawn_monitor(fun() ->
        {ok, P} = gen_server:start_link(?MODULE, fun() ->
            process_flag(trap_exit, true),
            {ok, state}
        end, []),
        Main ! {server, P},
        idling()
    end),
    receive {server, P} -> ok end,
    Rp = monitor(process, P),
    Parent ! {stop, parent_ends},
    receive {'DOWN', Rp, process, _, WhyP} -> trace({server, WhyP}) end,
    receive {'DOWN', R, process, _, Why} -> trace({parent, Why}) end.
