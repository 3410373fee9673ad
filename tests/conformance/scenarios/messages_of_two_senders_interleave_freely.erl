%% Between two senders there is no order.
-module(messages_of_two_senders_interleave_freely).
-include("scenario.hrl").

main() ->
    Main = self(),
    spawn(fun() -> Main ! {from, a} end),
    spawn(fun() -> Main ! {from, b} end),
    trace_any(senders, next()),
    trace_any(senders, next()),
    trace(mailbox()).
