%% significant needs auto_shutdown, and no permanent child is significant.
-module(a_significant_child_without_auto_shutdown_is_refused).
-include("supervised.hrl").

main() ->
    watch(),
    trace(supervise(#{}, [child(a, #{restart => transient, significant => true})])),
    receive {'EXIT', _, Why} -> trace(Why) end,
    trace(supervise(#{auto_shutdown => any_significant},
                    [child(a, #{significant => true})])),
    receive {'EXIT', _, Why2} -> trace(Why2) end.
