%% A list of pids joins and leaves together.
-module(several_processes_may_join_and_leave_at_once).
-include("scenario.hrl").

main() ->
    {ok, _} = pg:start_link(scope),
    A = idle(),
    B = idle(),
    trace(pg:join(scope, group, [A, B, A])),
    Members = pg:get_members(scope, group),
    trace(length(Members)),
    trace(lists:sort(Members) =:= lists:sort([A, A, B])),
    trace(pg:leave(scope, group, [A, B])),
    trace(pg:get_members(scope, group) =:= [A]),
    kill(A, kill),
    kill(B, kill),
    trace(done).
