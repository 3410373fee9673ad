%% An item that does not exist, and what is no pid, are badarg.
-module(process_info_of_an_unknown_item_is_an_error).
-include("scenario.hrl").

main() ->
    trace(outcome(fun() -> process_info(self(), no_such_item) end)),
    trace(outcome(fun() -> process_info(no_pid, links) end)).
