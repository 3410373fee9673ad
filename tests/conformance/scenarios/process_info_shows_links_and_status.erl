%% Links in both directions; who waits for a message is waiting.
-module(process_info_shows_links_and_status).
-include("scenario.hrl").

main() ->
    P = idle(),
    link(P),
    trace({self(), P}),
    trace(process_info(self(), links)),
    trace(process_info(P, links)),
    until(fun() -> process_info(P, status) =:= {status, waiting} end),
    trace(process_info(P, status)),
    trace(process_info(self(), status)),
    unlink(P),
    trace(process_info(self(), links)),
    trace(process_info(P, links)).
