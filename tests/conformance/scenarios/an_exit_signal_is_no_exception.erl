%% An exit signal of another process ends the process; `try` does not see it.
-module(an_exit_signal_is_no_exception).
-include("scenario.hrl").

main() ->
    Main = self(),
    {P, R} = spawn_monitor(fun() ->
        try
            Main ! ready,
            idling()
        catch
            _:_ -> trace(wrong)
        end
    end),
    receive ready -> ok end,
    exit(P, stop),
    receive {'DOWN', R, process, P, Why} -> trace(Why) end.
