%% The error comes back with a description of the child, which is forgotten.
-module(start_child_that_fails_is_not_kept).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [child(a)]),
    Bad = #{id => bad, start => {?MODULE, refuse, []}},
    {error, {Why, _Child}} = supervisor:start_child(Sup, Bad),
    trace(Why),
    trace(children(Sup)).

refuse() -> {error, no_way}.
