%% spawn/3, spawn_link/3 and spawn_monitor/3 call Module:Function(Args...).
-module(spawn_calls_a_function_of_a_module).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    A = spawn(?MODULE, tell, [self(), one]),
    trace(next()),
    trace(gone(A)),
    B = spawn_link(?MODULE, tell, [self(), two]),
    receive {told, two} -> trace(two) end,
    receive {'EXIT', B, Why} -> trace(Why) end,
    {C, R} = spawn_monitor(?MODULE, tell, [self(), three]),
    receive {told, three} -> trace(three) end,
    receive {'DOWN', R, process, C, Why2} -> trace(Why2) end.

tell(To, What) -> To ! {told, What}.
