%% Only the order of one sender is promised; each of two senders keeps its own.
-module(each_of_two_senders_keeps_its_order).
-include("scenario.hrl").

main() ->
    Main = self(),
    A = spawn(fun() -> count(Main, 1) end),
    B = spawn(fun() -> count(Main, 1) end),
    gone(A),
    gone(B),
    trace(from(A)),
    trace(from(B)),
    trace(mailbox()).

count(_, 11) -> ok;
count(To, N) -> To ! {self(), N}, count(To, N + 1).

from(P) -> receive {P, N} -> [N | from(P)] after 0 -> [] end.
