%% Who has the name then gets the message.
-module(a_timer_to_a_name_looks_it_up_when_it_fires).
-include("scenario.hrl").

main() ->
    Main = self(),
    First = spawn(fun() -> register(target, self()), Main ! ready, idling() end),
    receive ready -> ok end,
    erlang:send_after(30, target, hello),
    exit(First, kill),
    gone(First),
    trace(register(target, self())),
    trace(next()).
