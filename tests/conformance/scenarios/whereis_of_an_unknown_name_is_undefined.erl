%% A name that nobody has leads nowhere.
-module(whereis_of_an_unknown_name_is_undefined).
-include("scenario.hrl").

main() ->
    trace(whereis(nobody)),
    trace(lists:member(nobody, registered())).
