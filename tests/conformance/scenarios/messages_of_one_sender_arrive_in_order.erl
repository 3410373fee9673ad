%% Messages from one process to another arrive in the order they were sent.
-module(messages_of_one_sender_arrive_in_order).
-include("scenario.hrl").

main() ->
    Main = self(),
    spawn(fun() -> count(Main, 1, 20) end),
    collect(20).

count(_, N, Last) when N > Last -> ok;
count(To, N, Last) -> To ! {number, N}, count(To, N + 1, Last).

collect(0) -> trace(mailbox());
collect(N) -> receive {number, X} -> trace(X) end, collect(N - 1).
