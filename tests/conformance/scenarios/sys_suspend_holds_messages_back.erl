%% A suspended server handles nothing until it is resumed.
-module(sys_suspend_holds_messages_back).
-include("server.hrl").

main() ->
    P = server(state),
    trace(sys:suspend(P)),
    gen_server:cast(P, held),
    trace(sys:get_state(P)),
    trace(outcome(fun() -> gen_server:call(P, get, 5) end)),
    trace(mailbox()),
    Resumed = sys:resume(P),
    trace(gen_server:call(P, get)),
    trace(Resumed).
