%% The first significant child that ends by itself ends the supervisor.
-module(auto_shutdown_any_significant_ends_the_supervisor).
-include("supervised.hrl").

main() ->
    watch(),
    More = #{restart => transient, significant => true},
    {ok, Sup} = supervise(#{auto_shutdown => any_significant},
                          [child(a), child(b, More), child(c, More)]),
    [up(N) || N <- [a, b, c]],
    die(b, normal),
    receive {'EXIT', Sup, Why} -> trace({supervisor, Why}) end.
