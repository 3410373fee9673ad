%% A process can't stop itself.
-module(gen_server_stop_of_oneself_exits_with_calling_self).
-include("scenario.hrl").

main() ->
    register(me, self()),
    trace(self()),
    trace(outcome(fun() -> gen_server:stop(self()) end)),
    trace(outcome(fun() -> gen_server:stop(me, because, 1000) end)),
    trace(outcome(fun() -> gen_server:stop({me, node()}, because, infinity) end)),
    trace(mailbox()).
