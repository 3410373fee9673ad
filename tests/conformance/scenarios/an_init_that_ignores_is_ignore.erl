%% ignore from init ends the process with normal.
-module(an_init_that_ignores_is_ignore).
-include("server.hrl").

main() ->
    process_flag(trap_exit, true),
    trace(gen_server:start(?MODULE, fun() -> ignore end, [])),
    trace(gen_server:start_link(?MODULE, fun() -> ignore end, [])),
    receive {'EXIT', _, Why} -> trace(Why) end.
