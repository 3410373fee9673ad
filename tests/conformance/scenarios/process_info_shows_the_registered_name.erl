%% A process without a name has the empty list, and none at all if asked for alone.
-module(process_info_shows_the_registered_name).
-include("scenario.hrl").

main() ->
    trace(process_info(self(), registered_name)),
    trace(process_info(self(), [registered_name])),
    register(me, self()),
    trace(process_info(self(), registered_name)),
    trace(process_info(self(), [registered_name])).
