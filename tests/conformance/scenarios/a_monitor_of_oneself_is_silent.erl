%% monitor(process, self()) gives a reference and has no effect.
-module(a_monitor_of_oneself_is_silent).
-include("scenario.hrl").

main() ->
    {_, R} = spawn_monitor(fun() ->
        trace(is_reference(monitor(process, self()))),
        trace(process_info(self(), monitors)),
        exit(done)
    end),
    receive {'DOWN', R, process, _, Why} -> trace(Why) end.
