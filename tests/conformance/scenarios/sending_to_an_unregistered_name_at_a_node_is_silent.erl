%% {Name, Node} that does not exist is no error, not even for the own node.
-module(sending_to_an_unregistered_name_at_a_node_is_silent).
-include("scenario.hrl").

main() ->
    trace(outcome(fun() -> {nobody, node()} ! hello end)),
    trace(mailbox()).
