%% A timer belongs to its target, not to who started it.
-module(a_timer_outlives_the_process_that_started_it).
-include("scenario.hrl").

main() ->
    Main = self(),
    P = spawn(fun() -> erlang:send_after(20, Main, hello) end),
    trace(gone(P)),
    trace(next()).
