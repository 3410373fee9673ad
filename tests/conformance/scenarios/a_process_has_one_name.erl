%% A second name for a process is an error.
-module(a_process_has_one_name).
-include("scenario.hrl").

main() ->
    register(one, self()),
    trace(outcome(fun() -> register(two, self()) end)),
    trace(process_info(self(), registered_name)),
    trace(whereis(two)).
