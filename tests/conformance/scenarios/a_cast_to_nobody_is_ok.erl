%% gen_server:cast always returns ok.
-module(a_cast_to_nobody_is_ok).
-include("server.hrl").

main() ->
    trace(gen_server:cast(nobody, hello)),
    trace(gen_server:cast(dead(), hello)),
    trace(gen_server:cast({nobody, node()}, hello)),
    trace(mailbox()).
