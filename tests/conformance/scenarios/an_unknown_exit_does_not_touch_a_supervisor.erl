%% Exit signals of others than parent and children are only logged.
-module(an_unknown_exit_does_not_touch_a_supervisor).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [child(a)]),
    Other = spawn(fun() -> exit(Sup, go_away), Sup ! strange end),
    gone(Other),
    trace(children(Sup)).
