%% gen_server:reply to a caller that has ended disturbs nobody.
-module(a_reply_to_a_dead_caller_is_silent).
-include("server.hrl").

main() ->
    P = server(none),
    Main = self(),
    Caller = spawn(fun() ->
        gen_server:call(P, fun(From, _) -> Main ! asked, {noreply, From} end)
    end),
    receive asked -> ok end,
    trace(kill(Caller, kill)),
    gen_server:cast(P, fun(From) -> gen_server:reply(From, late), {noreply, done} end),
    trace(gen_server:call(P, get)).
