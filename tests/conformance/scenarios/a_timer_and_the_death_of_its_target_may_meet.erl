%% A timer that fires while its target ends disturbs nobody.
-module(a_timer_and_the_death_of_its_target_may_meet).
-include("scenario.hrl").

main() ->
    [once() || _ <- [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
    trace(mailbox()).

once() ->
    {P, R} = spawn_monitor(fun() -> receive go -> ok end end),
    erlang:send_after(1, P, go),
    erlang:send_after(1, P, too_late),
    receive {'DOWN', R, process, P, Why} -> trace(Why) end.
