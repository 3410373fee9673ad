%% ignore keeps the specification without a process.
-module(a_child_whose_start_is_ignored_has_no_process).
-include("supervised.hrl").

main() ->
    watch(),
    Quiet = #{id => quiet, start => {?MODULE, quiet, []}},
    {ok, Sup} = supervise(#{}, [child(a), Quiet, child(b)]),
    trace(children(Sup)),
    trace(supervisor:count_children(Sup)),
    trace(supervisor:restart_child(Sup, quiet)).

quiet() -> ignore.
