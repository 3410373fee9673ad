%% Times are not negative, targets are local pids and names.
-module(timers_refuse_what_is_no_time_or_target).
-include("scenario.hrl").

main() ->
    Far = far(),
    [trace(outcome(F)) || F <- [
        fun() -> erlang:send_after(-1, self(), x) end,
        fun() -> erlang:send_after(soon, self(), x) end,
        fun() -> erlang:send_after(1, Far, x) end,
        fun() -> erlang:send_after(1, 17, x) end,
        fun() -> erlang:start_timer(1, {name, node()}, x) end,
        fun() -> erlang:start_timer(1, make_ref(), x) end,
        fun() -> erlang:cancel_timer(x) end,
        fun() -> erlang:read_timer(x) end,
        fun() -> erlang:cancel_timer(make_ref()) end,
        fun() -> erlang:read_timer(make_ref()) end
    ]],
    trace(mailbox()).

far() -> spawn(start_node(a), fun() -> receive stop -> ok end end).
