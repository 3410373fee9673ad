%% What a start function throws is its result, be it a child, a refusal or nonsense.
-module(a_throw_in_a_start_function_is_its_result).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{}, []),
    {ok, P} = supervisor:start_child(Sup, thrower(child, {start, a})),
    trace(P =:= up(a)),
    trace(supervisor:start_child(Sup, thrower(ignored, {value, ignore}))),
    trace(reason(supervisor:start_child(Sup, thrower(refused, {value, {error, no}})))),
    trace(reason(supervisor:start_child(Sup, thrower(wrong, {value, nonsense})))),
    trace(children(Sup)),
    trace(shut_down(Sup)).

reason({error, {Why, _Child}}) -> Why.

thrower(Id, What) -> #{id => Id, start => {?MODULE, throwing, [What]}}.

throwing({value, X}) -> throw(X);
throwing({start, Name}) -> throw(start_worker(Name)).
