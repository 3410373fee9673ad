%% A local name that nobody has is a badarg for the sender.
-module(sending_to_an_unregistered_name_is_an_error).
-include("scenario.hrl").

main() ->
    trace(outcome(fun() -> nobody ! hello end)),
    trace(mailbox()).
