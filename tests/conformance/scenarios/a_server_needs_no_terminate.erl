%% terminate, handle_info and the like are optional.
-module(a_server_needs_no_terminate).
-include("scenario.hrl").

main() ->
    {ok, P} = gen_server:start(?MODULE, state, []),
    P ! ignored,
    trace(gen_server:call(P, hello)),
    R = monitor(process, P),
    trace(gen_server:stop(P)),
    receive {'DOWN', R, process, P, Why} -> trace({down, Why}) end.

init(State) -> {ok, State}.
handle_call(hello, _, State) -> {reply, State, State}.
handle_cast(_, State) -> {noreply, State}.
