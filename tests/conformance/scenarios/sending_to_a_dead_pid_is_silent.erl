%% A message to a process that has ended vanishes.
-module(sending_to_a_dead_pid_is_silent).
-include("scenario.hrl").

main() ->
    P = dead(),
    P ! hello,
    trace(outcome(fun() -> P ! hello end)),
    trace(mailbox()).
