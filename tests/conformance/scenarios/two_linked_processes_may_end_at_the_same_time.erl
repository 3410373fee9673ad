%% When both end, each watcher gets one down message.
-module(two_linked_processes_may_end_at_the_same_time).
-include("scenario.hrl").

main() ->
    Main = self(),
    A = idle(),
    B = spawn(fun() -> link(A), Main ! linked, idling() end),
    receive linked -> ok end,
    Ra = monitor(process, A),
    Rb = monitor(process, B),
    exit(A, kill),
    exit(B, kill),
    receive {'DOWN', Ra, process, A, WhyA} -> trace(WhyA) end,
    receive {'DOWN', Rb, process, B, WhyB} -> trace(WhyB) end,
    trace(mailbox()).
