%% Messages that no clause takes do not prolong the wait.
-module(a_message_that_does_not_match_does_not_restart_the_timeout).
-include("scenario.hrl").

main() ->
    Main = self(),
    Noise = spawn(fun() -> noise(Main) end),
    receive never -> trace(wrong) after 40 -> trace(timeout) end,
    trace(kill(Noise, kill)).

noise(Main) ->
    Main ! noise,
    receive after 5 -> noise(Main) end.
