%% A child specification needs a start function; otherwise nothing is started.
-module(a_child_without_a_start_function_is_refused).
-include("supervised.hrl").

main() ->
    watch(),
    trace(supervise(#{}, [child(a), #{id => b}])),
    receive {'EXIT', _, Why} -> trace(Why) end,
    trace(mailbox()).
