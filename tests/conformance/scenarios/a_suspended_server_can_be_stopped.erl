%% gen_server:stop is a system message; calls that wait end with the server.
-module(a_suspended_server_can_be_stopped).
-include("server.hrl").

main() ->
    P = server(state),
    trace(P),
    sys:suspend(P),
    Main = self(),
    spawn(fun() -> Main ! {called, outcome(fun() -> gen_server:call(P, get) end)} end),
    until(fun() -> process_info(P, message_queue_len) =:= {message_queue_len, 1} end),
    trace(gen_server:stop(P, because, infinity)),
    receive {called, X} -> trace(X) end.
