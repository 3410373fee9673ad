%% A parent that does not trap exits ends when the server it starts with a link fails.
-module(a_failing_init_ends_a_linked_parent).
-include("server.hrl").

main() ->
    {P, R} = spawn_monitor(fun() ->
        gen_server:start_link(?MODULE, fun() -> {stop, no_way} end, []),
        idling()
    end),
    receive {'DOWN', R, process, P, Why} -> trace(Why) end.
