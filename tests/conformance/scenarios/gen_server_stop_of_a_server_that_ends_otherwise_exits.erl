%% gen_server:stop exits with what the server ended with instead.
-module(gen_server_stop_of_a_server_that_ends_otherwise_exits).
-include("server.hrl").

main() ->
    Main = self(),
    %% It ends before it has heard of the stop: it is killed while it is busy.
    B = busy(),
    trace(B),
    spawn(fun() -> Main ! {stopped, outcome(fun() -> gen_server:stop(B, because, infinity) end)} end),
    until(fun() -> process_info(B, message_queue_len) =:= {message_queue_len, 1} end),
    exit(B, kill),
    receive {stopped, X} -> trace(X) end,
    %% The same, with the reason that was asked for.
    C = busy(),
    trace(C),
    spawn(fun() -> Main ! {stopped, outcome(fun() -> gen_server:stop(C, because, infinity) end)} end),
    until(fun() -> process_info(C, message_queue_len) =:= {message_queue_len, 1} end),
    exit(C, because),
    receive {stopped, Y} -> trace(Y) end,
    trace(mailbox()).

busy() ->
    P = server(state),
    Main = self(),
    gen_server:cast(P, fun(_) -> Main ! busy, receive never -> ok end end),
    receive busy -> P end.
