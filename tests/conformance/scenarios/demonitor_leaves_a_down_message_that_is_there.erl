%% Without flush the down message stays in the mailbox.
-module(demonitor_leaves_a_down_message_that_is_there).
-include("scenario.hrl").

main() ->
    P = dead(),
    R = monitor(process, P),
    receive {'DOWN', R, _, _, _} = D -> self() ! D end,
    trace({P, R}),
    trace(demonitor(R)),
    trace(mailbox()).
