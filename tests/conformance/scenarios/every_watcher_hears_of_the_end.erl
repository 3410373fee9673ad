%% A process may be monitored by many; each hears of its end.
-module(every_watcher_hears_of_the_end).
-include("scenario.hrl").

main() ->
    P = idle(),
    Main = self(),
    Watchers = [spawn(fun() ->
        R = monitor(process, P),
        Main ! watching,
        receive {'DOWN', R, process, P, Why} -> Main ! {told, N, Why} end
    end) || N <- [1, 2, 3]],
    [receive watching -> ok end || _ <- Watchers],
    P ! {stop, done},
    [receive {told, N, Why} -> trace({N, Why}) end || N <- [1, 2, 3]],
    trace(mailbox()).
