%% Either side's end reaches the other, whoever made the link.
-module(a_link_acts_in_both_directions).
-include("scenario.hrl").

main() ->
    Main = self(),
    A = idle(),
    B = spawn(fun() -> link(A), Main ! linked, idling() end),
    receive linked -> ok end,
    trace(process_info(A, links) =:= {links, [B]}),
    trace(process_info(B, links) =:= {links, [A]}),
    R = monitor(process, A),
    B ! {stop, from_b},
    receive {'DOWN', R, process, A, Why} -> trace(Why) end.
