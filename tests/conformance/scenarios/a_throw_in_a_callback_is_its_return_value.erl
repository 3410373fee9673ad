%% throw(Result) in a callback is the same as returning Result.
-module(a_throw_in_a_callback_is_its_return_value).
-include("server.hrl").

main() ->
    P = server(state),
    trace(gen_server:call(P, fun(_, S) -> throw({reply, thrown, {new, S}}) end)),
    trace(gen_server:call(P, get)).
