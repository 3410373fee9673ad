%% Who is refused gets an error and no exit message.
-module(a_start_link_of_a_taken_name_leaves_no_exit_message).
-include("server.hrl").

main() ->
    process_flag(trap_exit, true),
    {ok, P} = gen_server:start({local, server}, ?MODULE, first, []),
    trace({P, gen_server:start_link({local, server}, ?MODULE, second, [])}),
    trace(gen_server:start_monitor({local, server}, ?MODULE, third, [])),
    trace(mailbox()),
    trace(process_info(self(), links)),
    trace(process_info(self(), monitors)).
