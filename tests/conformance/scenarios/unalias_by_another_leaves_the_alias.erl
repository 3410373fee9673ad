%% Only who has made an alias ends it.
-module(unalias_by_another_leaves_the_alias).
-include("scenario.hrl").

main() ->
    A = alias(),
    trace(A),
    Main = self(),
    spawn(fun() -> Main ! {done, outcome(fun() -> unalias(A) end)} end),
    receive {done, X} -> trace(X) end,
    A ! hello,
    trace(mailbox()).
