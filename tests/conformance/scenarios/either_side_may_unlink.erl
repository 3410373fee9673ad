%% unlink removes the link although the other side made it.
-module(either_side_may_unlink).
-include("scenario.hrl").

main() ->
    Main = self(),
    P = spawn(fun() -> link(Main), Main ! linked, idling() end),
    receive linked -> ok end,
    trace(process_info(self(), links) =:= {links, [P]}),
    unlink(P),
    trace(process_info(self(), links)),
    trace(stop(P, broken)).
