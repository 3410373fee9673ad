%% After a call neither monitors nor messages are left.
-module(a_call_leaves_no_monitor_behind).
-include("server.hrl").

main() ->
    P = server([]),
    gen_server:call(P, get),
    trace(process_info(self(), monitors)),
    trace(gen_server:call(P, fun(_, S) -> {reply, erlang:length(S), S} end)),
    trace(process_info(P, monitored_by)),
    trace(mailbox()).
