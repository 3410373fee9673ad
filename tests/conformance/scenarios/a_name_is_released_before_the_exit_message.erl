%% Who gets the exit message can take the name at once.
-module(a_name_is_released_before_the_exit_message).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    Main = self(),
    P = spawn_link(fun() ->
        register(name, self()),
        Main ! ready,
        receive go -> exit(done) end
    end),
    receive ready -> ok end,
    P ! go,
    receive {'EXIT', P, _} -> trace(register(name, self())) end,
    trace(whereis(name) =:= self()).
