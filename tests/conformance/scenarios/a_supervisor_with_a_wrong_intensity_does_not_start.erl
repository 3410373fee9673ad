%% A negative intensity and a period that is not positive are errors of start_link.
-module(a_supervisor_with_a_wrong_intensity_does_not_start).
-include("supervised.hrl").

main() ->
    watch(),
    trace(supervise(#{intensity => -1}, [])),
    receive {'EXIT', _, Why} -> trace(Why) end,
    trace(supervise(#{period => 0}, [])),
    receive {'EXIT', _, Why2} -> trace(Why2) end.
