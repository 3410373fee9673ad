%% {noreply, State} leaves the caller waiting until gen_server:reply.
-module(a_call_may_be_answered_later).
-include("server.hrl").

main() ->
    P = server(none),
    Main = self(),
    Caller = spawn(fun() ->
        Main ! {answer, gen_server:call(P, fun(From, _) -> {noreply, From} end)}
    end),
    wait_for_state(P),
    trace(is_process_alive(Caller)),
    gen_server:cast(P, fun(From) -> gen_server:reply(From, late), {noreply, done} end),
    trace(next()),
    trace(gen_server:call(P, get)).

wait_for_state(P) ->
    case gen_server:call(P, get) of
        none -> wait_for_state(P);
        _ -> ok
    end.
