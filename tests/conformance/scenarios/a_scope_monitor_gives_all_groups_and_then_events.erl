%% pg:monitor_scope returns {Ref, #{Group => Members}}.
-module(a_scope_monitor_gives_all_groups_and_then_events).
-include("scenario.hrl").

main() ->
    {ok, _} = pg:start_link(scope),
    A = idle(),
    trace(A),
    pg:join(scope, one, A),
    {R, Groups} = pg:monitor_scope(scope),
    trace({R, Groups}),
    pg:join(scope, two, A),
    trace(next()),
    pg:leave(scope, one, A),
    trace(next()),
    trace(pg:demonitor(scope, R)),
    trace(pg:demonitor(scope, R)),
    trace(kill(A, kill)),
    trace(mailbox()).
