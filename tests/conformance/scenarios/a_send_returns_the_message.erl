%% `Pid ! Message` has the value of the message, also when nobody gets it.
-module(a_send_returns_the_message).
-include("scenario.hrl").

main() ->
    trace(self() ! hello),
    trace(dead() ! {to, nobody}),
    trace(erlang:send(self(), again)),
    trace(mailbox()).
