%% An exit signal runs no after and no catch; exit/1 runs both.
-module(a_try_is_left_by_no_exit_signal).
-include("scenario.hrl").

main() ->
    Main = self(),
    {P, R} = spawn_monitor(fun() -> try exit(self(), because) catch _:_ -> Main ! caught after Main ! after_it end, Main ! later end),
    trace({P, R}),
    trace(next()),
    trace(mailbox()),
    spawn_monitor(fun() -> try exit(because) after Main ! after_it end end),
    trace(next()),
    trace(element(5, next())).
