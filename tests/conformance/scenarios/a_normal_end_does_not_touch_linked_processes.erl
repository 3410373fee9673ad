%% The reason normal does nothing to linked processes that do not trap exits.
-module(a_normal_end_does_not_touch_linked_processes).
-include("scenario.hrl").

main() ->
    A = idle(),
    Main = self(),
    B = spawn(fun() -> link(A), Main ! linked, idling() end),
    receive linked -> ok end,
    trace(stop(A, normal)),
    sync(B),
    trace(is_process_alive(B)),
    trace(until(fun() -> process_info(B, links) =:= {links, []} end)).
