%% gen_server:start_monitor returns {ok, {Pid, Ref}}.
-module(start_monitor_gives_a_reference).
-include("server.hrl").

main() ->
    {ok, {P, R}} = gen_server:start_monitor(?MODULE, state, []),
    trace({P, R}),
    gen_server:cast(P, fun(S) -> {stop, done, S} end),
    trace(next()),
    trace(gen_server:start_monitor(?MODULE, fun() -> {stop, no_way} end, [])),
    trace(mailbox()).
