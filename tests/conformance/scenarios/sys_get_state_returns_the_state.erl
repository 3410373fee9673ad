%% sys:get_state looks into a server, after what was sent before.
-module(sys_get_state_returns_the_state).
-include("server.hrl").

main() ->
    P = server({my, state}),
    trace(sys:get_state(P)),
    gen_server:cast(P, fun(S) -> {noreply, {new, S}} end),
    trace(sys:get_state(P)),
    trace(gen_server:call(P, get)).
