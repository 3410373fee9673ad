%% register, whereis, sending to the name.
-module(a_registered_name_leads_to_its_process).
-include("scenario.hrl").

main() ->
    trace(self()),
    trace(register(me, self())),
    trace(whereis(me)),
    me ! hello,
    trace(next()),
    trace(lists:member(me, registered())).
