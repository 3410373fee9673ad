%% By its pid, its name or its name and node a process can't call itself.
-module(a_call_to_the_own_name_exits_with_calling_self).
-include("scenario.hrl").

main() ->
    register(me, self()),
    trace({self(), node()}),
    trace(outcome(fun() -> gen_server:call(self(), x) end)),
    trace(outcome(fun() -> gen_server:call(me, x) end)),
    trace(outcome(fun() -> gen_server:call({me, node()}, x) end)),
    trace(outcome(fun() -> gen_server:call({me, node()}, x, 1000) end)),
    trace(mailbox()).
