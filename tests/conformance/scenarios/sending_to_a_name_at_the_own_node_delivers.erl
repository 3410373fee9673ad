%% {Name, node()} is the process that has the name here.
-module(sending_to_a_name_at_the_own_node_delivers).
-include("scenario.hrl").

main() ->
    register(me, self()),
    {me, node()} ! hello,
    trace(next()),
    me ! again,
    trace(next()).
