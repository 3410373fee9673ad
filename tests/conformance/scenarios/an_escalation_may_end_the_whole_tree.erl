%% When the parent supervisor may not restart either, all end with shutdown.
-module(an_escalation_may_end_the_whole_tree).
-include("supervised.hrl").

main() ->
    watch(),
    Inner = {supervisor, start_link,
             [?MODULE, {ok, {#{intensity => 0}, [child(b)]}}]},
    {ok, Sup} = supervise(#{intensity => 0}, [
        child(a),
        #{id => inner, type => supervisor, start => Inner}]),
    up(a),
    up(b),
    die(b, crash),
    receive {'EXIT', Sup, Why} -> trace({supervisor, Why}) end,
    trace({whereis(a), whereis(b)}).
