%% A reply that comes after the timeout is not in the caller's mailbox.
-module(a_late_reply_is_dropped).
-include("server.hrl").

main() ->
    P = server(state),
    Keep = fun(From, _) -> {noreply, From} end,
    trace(outcome(fun() -> gen_server:call(P, Keep, 5) end)),
    trace(gen_server:call(P, fun(_, From) ->
        gen_server:reply(From, late),
        {reply, ok, done}
    end)),
    trace(process_info(self(), monitors)),
    trace(mailbox()).
