%% A process that is ended by a signal runs nothing more, not even `after`.
-module(an_after_clause_does_not_run_for_an_exit_signal).
-include("scenario.hrl").

main() ->
    Main = self(),
    {P, R} = spawn_monitor(fun() ->
        try
            Main ! ready,
            idling()
        after
            Main ! wrong
        end
    end),
    receive ready -> ok end,
    exit(P, stop),
    receive {'DOWN', R, process, P, Why} -> trace(Why) end,
    trace(mailbox()).
