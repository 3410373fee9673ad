%% exit(self(), Reason) is a signal, not an exit of the callback.
-module(a_server_that_ends_by_its_own_exit_signal_has_no_terminate).
-include("server.hrl").

main() ->
    P = server(state),
    R = monitor(process, P),
    trace({P, R}),
    gen_server:cast(P, fun(S) -> exit(self(), because), {noreply, S} end),
    trace(next()).
