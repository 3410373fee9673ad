%% A child that has ended when its start returns is restarted as any other.
-module(a_child_that_ends_in_its_start_counts_as_started).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervise(#{intensity => 2}, [child(a), #{id => dead, start => {?MODULE, start_dead, []}}]),
    receive {'EXIT', Sup, Why} -> trace(Why) end.

start_dead() ->
    Main = self(),
    P = spawn_link(fun() -> trace(started), Main ! {started, self()}, exit(crash) end),
    R = monitor(process, P),
    receive {started, P} -> ok end,
    receive {'DOWN', R, process, P, _} -> {ok, P} end.
