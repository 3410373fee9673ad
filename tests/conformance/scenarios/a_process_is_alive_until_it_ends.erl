%% is_process_alive, and who is in processes().
-module(a_process_is_alive_until_it_ends).
-include("scenario.hrl").

main() ->
    P = idle(),
    trace(is_process_alive(P)),
    trace(is_process_alive(self())),
    trace(lists:member(P, processes())),
    trace(stop(P, normal)),
    trace(is_process_alive(P)),
    trace(lists:member(P, processes())).
