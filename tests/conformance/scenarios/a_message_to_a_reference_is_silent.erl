%% Sending to a reference that is no alias is silent, as to one that was.
-module(a_message_to_a_reference_is_silent).
-include("scenario.hrl").

main() ->
    R = make_ref(),
    trace({R, R ! hello}),
    M = monitor(process, idle()),
    trace({M, M ! hello}),
    A = alias(),
    unalias(A),
    trace({A, A ! hello}),
    T = erlang:start_timer(10000, self(), x),
    trace({T, T ! hello}),
    trace(mailbox()).
