%% A list that joins at once is one message with that list.
-module(a_join_of_several_is_one_event).
-include("scenario.hrl").

main() ->
    {ok, _} = pg:start_link(scope),
    A = idle(),
    B = idle(),
    trace({A, B}),
    {R, []} = pg:monitor(scope, group),
    trace(R),
    pg:join(scope, group, [A, B]),
    trace(next()),
    pg:leave(scope, group, [A, B]),
    trace(next()),
    kill(A, kill),
    kill(B, kill),
    trace(mailbox()).
