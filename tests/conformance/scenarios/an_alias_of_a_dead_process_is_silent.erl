%% An alias ends with its process.
-module(an_alias_of_a_dead_process_is_silent).
-include("scenario.hrl").

main() ->
    Main = self(),
    P = spawn(fun() -> Main ! {alias, alias()} end),
    receive {alias, A} -> ok end,
    trace(gone(P)),
    trace(A ! hello),
    trace(mailbox()).
