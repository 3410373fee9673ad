%% A trapping process hears of the normal end of a linked one.
-module(a_normal_end_is_a_message_for_linked_processes_that_trap).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    P = spawn_link(fun() -> ok end),
    trace(P),
    trace(next()).
