%% An exit message that is in the mailbox stays there after unlink.
-module(unlink_does_not_take_back_an_exit_message).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    P = spawn_link(fun() -> idling() end),
    trace(P),
    R = monitor(process, P),
    P ! {stop, broken},
    receive {'DOWN', R, process, P, Why} -> trace(Why) end,
    receive {'EXIT', P, _} = Exit -> self() ! Exit end,
    trace(unlink(P)),
    trace(mailbox()).
