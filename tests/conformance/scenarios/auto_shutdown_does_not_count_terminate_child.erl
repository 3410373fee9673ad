%% A significant child that the supervisor itself stops does not end it.
-module(auto_shutdown_does_not_count_terminate_child).
-include("supervised.hrl").

main() ->
    watch(),
    More = #{restart => transient, significant => true},
    {ok, Sup} = supervise(#{auto_shutdown => any_significant}, [child(a, More)]),
    up(a),
    trace(supervisor:terminate_child(Sup, a)),
    trace(children(Sup)).
