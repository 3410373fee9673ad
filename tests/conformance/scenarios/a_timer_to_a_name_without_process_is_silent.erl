%% A timer to a name that nobody has when it fires vanishes.
-module(a_timer_to_a_name_without_process_is_silent).
-include("scenario.hrl").

main() ->
    R = erlang:send_after(5, nobody, hello),
    trace(is_reference(R)),
    until(fun() -> erlang:read_timer(R) =:= false end),
    receive M -> trace(M) after 5 -> trace(nothing) end,
    trace(erlang:read_timer(R)).
