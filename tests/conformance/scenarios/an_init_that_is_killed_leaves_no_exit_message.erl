%% start_link takes the exit message of a server that was ended in its init.
-module(an_init_that_is_killed_leaves_no_exit_message).
-include("server.hrl").

main() ->
    process_flag(trap_exit, true),
    trace(gen_server:start_link(?MODULE, fun() -> exit(self(), kill) end, [])),
    trace(mailbox()),
    trace(gen_server:start(?MODULE, fun() -> exit(self(), kill) end, [])),
    trace(mailbox()).
