%% Linking twice makes one link; one unlink removes it.
-module(there_is_one_link_between_two_processes).
-include("scenario.hrl").

main() ->
    P = idle(),
    trace(P),
    trace(link(P)),
    trace(link(P)),
    trace(process_info(self(), links)),
    trace(unlink(P)),
    trace(process_info(self(), links)),
    trace(kill(P, broken)).
