%% start and start_link return {error, {already_started, Pid}}.
-module(a_second_server_of_a_name_is_already_started).
-include("server.hrl").

main() ->
    {ok, P} = gen_server:start({local, server}, ?MODULE, first, []),
    trace(P),
    trace(gen_server:start({local, server}, ?MODULE, second, [])),
    Wrong = fun() -> trace(wrong) end,
    trace(gen_server:start_link({local, server}, ?MODULE, Wrong, [])),
    trace(gen_server:call(server, get)),
    trace(mailbox()).
