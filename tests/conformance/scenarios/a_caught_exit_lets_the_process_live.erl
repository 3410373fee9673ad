%% exit(Reason) is an exception that can be caught.
-module(a_caught_exit_lets_the_process_live).
-include("scenario.hrl").

main() ->
    {_, R} = spawn_monitor(fun() ->
        trace(try exit(early) catch exit:Why -> {caught, Why} end),
        exit(late)
    end),
    receive {'DOWN', R, process, _, Why} -> trace(Why) end.
