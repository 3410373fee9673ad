%% Ids are unique: otherwise nothing is started.
-module(two_children_of_one_id_are_refused).
-include("supervised.hrl").

main() ->
    watch(),
    trace(supervise(#{}, [child(a), child(b), child(a)])),
    receive {'EXIT', _, Why} -> trace(Why) end,
    trace(mailbox()).
