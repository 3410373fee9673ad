%% After stop the name can be used again at once.
-module(the_name_of_a_server_is_free_after_its_end).
-include("server.hrl").

main() ->
    {ok, _} = gen_server:start({local, server}, ?MODULE, first, []),
    trace(gen_server:stop(server)),
    {ok, _} = gen_server:start({local, server}, ?MODULE, second, []),
    trace(gen_server:call(server, get)).
