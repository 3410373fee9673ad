%% The caller exits with {noproc, {gen_server, call, Args}}.
-module(a_call_to_a_dead_process_exits_with_noproc).
-include("server.hrl").

main() ->
    P = dead(),
    trace(P),
    trace(outcome(fun() -> gen_server:call(P, get) end)),
    trace(outcome(fun() -> gen_server:call(P, get, 100) end)),
    trace(mailbox()).
