%% gen_server:stop/3 waits no longer than it is told; the server ends later.
-module(gen_server_stop_that_takes_too_long_exits_with_timeout).
-include("server.hrl").

main() ->
    P = server(state),
    Main = self(),
    gen_server:cast(P, fun(S) -> Main ! busy, receive go -> {noreply, S} end end),
    receive busy -> ok end,
    trace(outcome(fun() -> gen_server:stop(P, because, 20) end)),
    R = monitor(process, P),
    trace({P, R}),
    P ! go,
    trace(next()),
    trace(mailbox()).
