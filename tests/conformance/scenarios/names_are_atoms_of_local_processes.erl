%% register, whereis and unregister refuse everything else.
-module(names_are_atoms_of_local_processes).
-include("scenario.hrl").

main() ->
    Far = spawn(start_node(a), fun() -> receive stop -> ok end end),
    [trace(outcome(F)) || F <- [
        fun() -> register(far, Far) end,
        fun() -> register(17, self()) end,
        fun() -> register(name, name) end,
        fun() -> register(name, make_ref()) end,
        fun() -> whereis(17) end,
        fun() -> unregister(17) end,
        fun() -> register(undefined, self()) end
    ]],
    trace(whereis(far)).
