%% What a specification does not say is shown with its default. (How the child is
%% started is a function in our runtime.)
-module(get_childspec_fills_in_the_defaults).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, [#{id => a, start => {?MODULE, quiet, []}}]),
    {ok, Spec} = supervisor:get_childspec(Sup, a),
    trace(maps:remove(start, Spec)),
    trace(supervisor:get_childspec(Sup, nobody)).

quiet() -> ignore.
