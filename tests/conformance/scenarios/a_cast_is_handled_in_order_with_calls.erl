%% Casts, messages and calls of one sender are handled in their order.
-module(a_cast_is_handled_in_order_with_calls).
-include("server.hrl").

main() ->
    P = server(state),
    trace(gen_server:cast(P, one)),
    P ! two,
    gen_server:cast(P, three),
    trace(gen_server:call(P, get)).
