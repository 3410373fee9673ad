%% The inner supervisor ends with shutdown; the outer one restarts it.
-module(too_many_restarts_escalate_to_the_parent_supervisor).
-include("supervised.hrl").

main() ->
    watch(),
    Inner = {supervisor, start_link,
             [?MODULE, {ok, {#{intensity => 0}, [child(b)]}}]},
    {ok, Sup} = supervise(#{}, [
        child(a),
        #{id => inner, type => supervisor, start => Inner}]),
    A = up(a),
    up(b),
    die(b, crash),
    up(b),
    trace(whereis(a) =:= A),
    trace(children(Sup)).
