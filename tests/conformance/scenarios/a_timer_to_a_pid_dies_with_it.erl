%% The timer to a process that has ended is gone.
-module(a_timer_to_a_pid_dies_with_it).
-include("scenario.hrl").

main() ->
    P = idle(),
    R = erlang:send_after(5000, P, hello),
    trace(is_integer(erlang:read_timer(R))),
    trace(kill(P, kill)),
    trace(gone_timer(R, 100)).

gone_timer(R, N) ->
    case erlang:read_timer(R) of
        false -> gone;
        _ when N =:= 0 -> still_there;
        _ -> receive after 1 -> gone_timer(R, N - 1) end
    end.
