%% What handle_continue returns counts as what any other callback returns.
-module(a_continue_may_have_a_timeout).
-include("server.hrl").

main() ->
    P = server(state),
    Main = self(),
    gen_server:cast(P, fun(S) ->
        {noreply, S, {continue, fun(T) -> {noreply, T, 10} end}}
    end),
    receive after 50 -> ok end,
    trace(gen_server:call(P, get)),
    gen_server:cast(P, fun(S) ->
        {noreply, S, {continue, fun(T) -> {noreply, T, {continue, fun(U) -> Main ! twice, {stop, done, U} end}} end}}
    end),
    Next = next(),
    gone(P),
    trace(Next).
