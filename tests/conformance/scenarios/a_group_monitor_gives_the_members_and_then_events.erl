%% pg:monitor returns {Ref, Members}; then joins and leaves come as messages.
-module(a_group_monitor_gives_the_members_and_then_events).
-include("scenario.hrl").

main() ->
    {ok, _} = pg:start_link(scope),
    A = idle(),
    B = idle(),
    trace({A, B}),
    pg:join(scope, group, A),
    {R, Members} = pg:monitor(scope, group),
    trace({R, Members}),
    pg:join(scope, group, B),
    trace(next()),
    pg:join(scope, other, B),
    pg:leave(scope, group, A),
    trace(next()),
    exit(B, kill),
    trace(next()),
    trace(pg:demonitor(scope, R)),
    pg:join(scope, group, A),
    trace(mailbox()),
    trace(kill(A, kill)).
