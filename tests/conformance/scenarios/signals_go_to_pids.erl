%% Links, exits and monitors refuse what is no process.
-module(signals_go_to_pids).
-include("scenario.hrl").

main() ->
    register(me, self()),
    [trace(outcome(F)) || F <- [
        fun() -> link(me) end,
        fun() -> unlink(me) end,
        fun() -> exit(me, x) end,
        fun() -> exit(make_ref(), x) end,
        fun() -> monitor(process, 17) end,
        fun() -> monitor(process, {a, b, c}) end,
        fun() -> demonitor(me) end,
        fun() -> unalias(me) end,
        fun() -> 17 ! x end,
        fun() -> {me, 17} ! x end,
        fun() -> {me} ! x end
    ]],
    trace(mailbox()).
