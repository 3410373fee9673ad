%% {Id, Child, Type, Modules}; a supervisor as child has its type.
-module(which_children_shows_the_last_child_first).
-include("supervised.hrl").

main() ->
    watch(),
    Inner = #{id => inner, type => supervisor, start =>
        {supervisor, start_link, [?MODULE, {ok, {#{}, [child(b)]}}]}},
    {ok, Sup} = supervise(#{}, [child(a, #{modules => [some]}), Inner]),
    [{inner, P, Type, Modules}, {a, A, worker, [some]}] =
        supervisor:which_children(Sup),
    trace({is_pid(P), is_pid(A), Type, Modules =:= [supervisor]}),
    trace(children(P)).
