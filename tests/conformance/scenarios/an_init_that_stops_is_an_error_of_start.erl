%% {stop, Reason} from init is {error, Reason}; a linked parent gets the exit.
-module(an_init_that_stops_is_an_error_of_start).
-include("server.hrl").

main() ->
    process_flag(trap_exit, true),
    trace(gen_server:start(?MODULE, fun() -> {stop, no_way} end, [])),
    trace(mailbox()),
    trace(gen_server:start_link(?MODULE, fun() -> {stop, no_way} end, [])),
    receive {'EXIT', _, Why} -> trace(Why) end.
