%% An exit signal runs no after and no catch; exit/1 runs both.
-module(a_try_is_left_by_no_exit_signal).
-include("scenario.hrl").

main() ->
    Main = self(),
    P = spawn(fun() -> try exit(self(), because) catch _:_ -> Main ! caught after Main ! after_it end, Main ! later end),
    R = monitor(process, P),
    trace({P, R}),
    trace(next()),
    trace(mailbox()),
    Q = spawn(fun() -> try exit(because) after Main ! after_it end end),
    monitor(process, Q),
    trace(next()),
    trace(element(5, next())).
