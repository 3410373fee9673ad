%% A child that ends at once is linked when it does.
-module(spawn_link_is_atomic).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    P = spawn_link(fun() -> exit(at_once) end),
    trace(P),
    trace(next()).
