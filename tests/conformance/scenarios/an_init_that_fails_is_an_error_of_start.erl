%% An error, an exit or a throw in init is {error, Reason} for who starts.
-module(an_init_that_fails_is_an_error_of_start).
-include("server.hrl").

main() ->
    trace(gen_server:start(?MODULE, fun() -> error(broken) end, [])),
    trace(gen_server:start(?MODULE, fun() -> exit(broken) end, [])),
    {ok, P} = gen_server:start(?MODULE, fun() -> throw({ok, thrown}) end, []),
    trace(gen_server:call(P, get)),
    trace(gen_server:start(?MODULE, fun() -> nonsense end, [])),
    trace(mailbox()).
