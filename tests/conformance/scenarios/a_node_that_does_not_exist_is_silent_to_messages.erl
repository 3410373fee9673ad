%% Sending to a name at an unknown node is no error.
-module(a_node_that_does_not_exist_is_silent_to_messages).
-include("scenario.hrl").

main() ->
    trace({name, 'nobody@127.0.0.1'} ! hello),
    trace(mailbox()).
