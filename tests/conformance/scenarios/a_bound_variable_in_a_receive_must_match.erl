%% A variable that has a value matches only that value, and exactly: 1 is not 1.0.
-module(a_bound_variable_in_a_receive_must_match).
-include("scenario.hrl").

main() ->
    Ref = make_ref(),
    One = 1,
    self() ! {make_ref(), other},
    self() ! {number, 1.0},
    self() ! {Ref, mine},
    self() ! {number, 1},
    receive {Ref, X} -> trace(X) end,
    receive {number, One} -> trace(found) end,
    receive {number, N} -> trace(N) end.
