%% Who gets the down message finds the name free.
-module(a_name_is_released_before_the_down_message).
-include("scenario.hrl").

main() ->
    [once(N) || N <- [1, 2, 3, 4, 5]].

once(N) ->
    Main = self(),
    {P, R} = spawn_monitor(fun() ->
        register(name, self()),
        Main ! ready,
        receive go -> exit(done) end
    end),
    receive ready -> ok end,
    trace({N, whereis(name) =:= P}),
    P ! go,
    receive {'DOWN', R, process, P, _} -> trace({N, whereis(name)}) end.
