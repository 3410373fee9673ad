%% process_info of a process of another node is badarg.
-module(process_info_is_for_local_processes).
-include("scenario.hrl").

main() ->
    Far = spawn(start_node(a), fun() -> receive stop -> ok end end),
    trace(outcome(fun() -> process_info(Far, links) end)),
    trace(outcome(fun() -> process_info(name, links) end)).
