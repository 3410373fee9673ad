%% A process that calls itself would wait for ever.
-module(a_call_to_oneself_exits_with_calling_self).
-include("server.hrl").

main() ->
    trace(self()),
    trace(outcome(fun() -> gen_server:call(self(), get) end)),
    register(me, self()),
    trace(outcome(fun() -> gen_server:call(me, get) end)).
