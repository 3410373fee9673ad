%% A timeout of 0 is no message of its own: what is in the mailbox is handled first,
%% and ends the timeout.
-module(a_message_that_is_there_comes_before_a_timeout_of_zero).
-include("server.hrl").

main() ->
    {ok, P} = gen_server:start(?MODULE, fun() ->
        self() ! message,
        {ok, state, 0}
    end, []),
    trace(gen_server:call(P, get)).
