%% The reason killed ends linked processes that do not trap exits.
-module(a_killed_process_takes_its_links_with_it).
-include("scenario.hrl").

main() ->
    A = idle(),
    Main = self(),
    B = spawn(fun() -> link(A), Main ! linked, idling() end),
    receive linked -> ok end,
    R = monitor(process, B),
    trace({A, B, R}),
    exit(A, kill),
    trace(next()).
