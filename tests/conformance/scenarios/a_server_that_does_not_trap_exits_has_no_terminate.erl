%% Without trapping the exit signal ends it without a callback.
-module(a_server_that_does_not_trap_exits_has_no_terminate).
-include("server.hrl").

main() ->
    Main = self(),
    {Parent, R} = spawn_monitor(fun() ->
        {ok, P} = gen_server:start_link(?MODULE, state, []),
        Main ! {server, P},
        idling()
    end),
    receive {server, P} -> ok end,
    Rp = monitor(process, P),
    Parent ! {stop, parent_ends},
    receive {'DOWN', R, process, _, Why} -> trace({parent, Why}) end,
    receive {'DOWN', Rp, process, _, WhyP} -> trace({server, WhyP}) end.
