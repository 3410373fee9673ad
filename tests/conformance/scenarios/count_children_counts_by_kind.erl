%% specs, active, supervisors and workers.
-module(count_children_counts_by_kind).
-include("supervised.hrl").

main() ->
    watch(),
    Inner = #{id => inner, type => supervisor, start =>
        {supervisor, start_link, [?MODULE, {ok, {#{}, []}}]}},
    {ok, Sup} = supervise(#{}, [child(a), child(b), Inner]),
    trace(lists:sort(supervisor:count_children(Sup))),
    supervisor:terminate_child(Sup, a),
    trace(lists:sort(supervisor:count_children(Sup))).
