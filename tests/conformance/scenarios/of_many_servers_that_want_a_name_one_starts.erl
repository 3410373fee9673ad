%% All others are told who has the name.
-module(of_many_servers_that_want_a_name_one_starts).
-include("server.hrl").

main() ->
    Main = self(),
    N = 20,
    [spawn(fun() -> Main ! {started, gen_server:start({local, server}, ?MODULE, state, [])},
                    receive stop -> ok end end)
     || _ <- lists:seq(1, N)],
    All = [receive {started, X} -> X end || _ <- lists:seq(1, N)],
    P = whereis(server),
    trace(length([ok || {ok, Q} <- All, Q =:= P])),
    trace(length([ok || {error, {already_started, Q}} <- All, Q =:= P])),
    trace(gen_server:call(server, get)).
