%% flush takes the down message out of the mailbox, and only that one.
-module(demonitor_with_flush_leaves_no_down_message).
-include("scenario.hrl").

main() ->
    P = dead(),
    R = monitor(process, P),
    Kept = monitor(process, P),
    self() ! before,
    receive {'DOWN', Kept, _, _, _} = D -> self() ! D end,
    trace({P, Kept}),
    trace(demonitor(R, [flush])),
    trace(mailbox()).
