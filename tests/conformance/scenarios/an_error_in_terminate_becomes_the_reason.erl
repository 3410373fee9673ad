%% When terminate itself fails, its error is what the server exits with.
-module(an_error_in_terminate_becomes_the_reason).
-include("scenario.hrl").

main() ->
    {ok, P} = gen_server:start(?MODULE, state, []),
    R = monitor(process, P),
    gen_server:cast(P, stop),
    receive {'DOWN', R, process, P, Why} -> trace({down, Why}) end.

init(State) -> {ok, State}.
handle_call(_, _, State) -> {reply, ok, State}.
handle_cast(stop, State) -> {stop, first, State}.
terminate(first, _) -> error(second).
