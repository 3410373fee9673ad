%% A message to an alias reaches the process that made it.
-module(an_alias_receives_messages).
-include("scenario.hrl").

main() ->
    A = alias(),
    trace(is_reference(A)),
    A ! hello,
    trace(next()),
    Main = self(),
    P = spawn(fun() -> A ! {from, other}, Main ! done end),
    trace(next()),
    trace(next()),
    trace(gone(P)).
