%% The exit message of an uncaught error carries {Reason, Stack}.
-module(links_see_the_stack_of_an_uncaught_error).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    spawn_link(fun() -> error(broken) end),
    receive {'EXIT', _, Why} -> trace(Why) end,
    spawn_link(fun() -> throw(ball) end),
    receive {'EXIT', _, Why2} -> trace(Why2) end.
