%% {ok, S, {continue, C}} is handled before what is in the mailbox already.
-module(continue_comes_before_any_message).
-include("server.hrl").

main() ->
    {ok, P} = gen_server:start(?MODULE, fun() ->
        self() ! message,
        {ok, state, {continue, first}}
    end, []),
    trace(gen_server:call(P, get)).
