%% {ok, State, Timeout} from init gives handle_info(timeout, State).
-module(a_timeout_from_init_is_a_message).
-include("server.hrl").

main() ->
    {ok, P} = gen_server:start(?MODULE, fun() -> {ok, state, 10} end, []),
    receive after 50 -> ok end,
    trace(gen_server:call(P, get)).
