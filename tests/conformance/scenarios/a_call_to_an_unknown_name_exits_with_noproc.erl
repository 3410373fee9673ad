%% A name, here or with the own node, that nobody has is noproc.
-module(a_call_to_an_unknown_name_exits_with_noproc).
-include("server.hrl").

main() ->
    trace(outcome(fun() -> gen_server:call(nobody, get) end)),
    trace(outcome(fun() -> gen_server:call({nobody, node()}, get) end)).
