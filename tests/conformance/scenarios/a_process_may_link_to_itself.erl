%% Linking to oneself is true and has no effect.
-module(a_process_may_link_to_itself).
-include("scenario.hrl").

main() ->
    trace(link(self())),
    trace(process_info(self(), links)).
