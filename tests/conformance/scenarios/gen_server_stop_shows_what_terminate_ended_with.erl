%% A terminate/2 that fails makes its own reason that of gen_server:stop.
-module(gen_server_stop_shows_what_terminate_ended_with).
-include("scenario.hrl").

init(How) -> {ok, How}.
handle_call(get, _, S) -> {reply, S, S}.
handle_cast(_, S) -> {noreply, S}.
terminate(Reason, {exits, How}) -> trace({terminate, Reason}), exit(How);
terminate(Reason, State) -> trace({terminate, Reason, State}).

main() ->
    trace(stopping({exits, other}, normal)),
    trace(stopping({exits, shutdown}, shutdown)),
    trace(stopping({exits, {shutdown, x}}, normal)),
    trace(stopping({exits, kill}, normal)),
    trace(stopping(fine, {because, 1})).

stopping(State, Reason) ->
    {ok, P} = gen_server:start(?MODULE, State, []),
    outcome(fun() -> gen_server:stop(P, Reason, infinity) end).
