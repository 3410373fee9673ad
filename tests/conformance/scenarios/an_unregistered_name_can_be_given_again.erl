%% After unregister the name and the process are free for others.
-module(an_unregistered_name_can_be_given_again).
-include("scenario.hrl").

main() ->
    P = idle(),
    trace({self(), P}),
    register(name, self()),
    unregister(name),
    trace(process_info(self(), registered_name)),
    register(name, P),
    trace(whereis(name)),
    register(other, self()),
    trace(process_info(self(), registered_name)),
    trace(stop(P, normal)).
