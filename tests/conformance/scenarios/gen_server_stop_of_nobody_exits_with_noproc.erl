%% Stopping what is not there is the exit noproc.
-module(gen_server_stop_of_nobody_exits_with_noproc).
-include("server.hrl").

main() ->
    trace(outcome(fun() -> gen_server:stop(dead()) end)),
    trace(outcome(fun() -> gen_server:stop(nobody) end)).
