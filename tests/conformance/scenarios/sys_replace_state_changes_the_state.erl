%% sys:replace_state gives a server another state and returns it.
-module(sys_replace_state_changes_the_state).
-include("server.hrl").

main() ->
    P = server({my, state}),
    trace(sys:replace_state(P, fun(S) -> {new, S} end)),
    trace(sys:get_state(P)),
    trace(gen_server:call(P, get)).
