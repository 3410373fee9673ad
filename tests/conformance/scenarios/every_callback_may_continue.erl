%% call, cast, info and continue may each return {continue, _}.
-module(every_callback_may_continue).
-include("server.hrl").

main() ->
    P = server(state),
    Reply = gen_server:call(P, fun(_, S) ->
        {reply, called, S, {continue, after_call}}
    end),
    gen_server:call(P, get),
    trace(Reply),
    gen_server:cast(P, fun(S) -> {noreply, S, {continue, after_cast}} end),
    P ! fun(S) ->
        {noreply, S, {continue, fun(_) -> {noreply, {new, S}, {continue, again}} end}}
    end,
    trace(gen_server:call(P, get)).
