%% A guard that is false, or fails, passes the message over.
-module(a_guard_chooses_the_message).
-include("scenario.hrl").

main() ->
    [self() ! X || X <- [atom, {pair, 1}, 3, 30]],
    receive X when X + 1 > 10, is_integer(X) -> trace(X) end,
    receive Y when element(2, Y) =:= 1 -> trace(Y) end,
    receive Z when length(Z) > 0; Z =:= 3 -> trace(Z) end,
    trace(mailbox()).
