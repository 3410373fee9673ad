%% `after infinity` never ends by itself.
-module(a_timeout_of_infinity_waits_for_a_message).
-include("scenario.hrl").

main() ->
    Main = self(),
    spawn(fun() -> receive after 20 -> Main ! late end end),
    receive M -> trace(M) after infinity -> trace(wrong) end.
