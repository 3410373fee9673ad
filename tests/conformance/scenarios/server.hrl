%% A gen_server whose callbacks are given as functions by the scenario.
-include("scenario.hrl").

init(F) when is_function(F) -> F();
init(State) -> {ok, State}.

handle_call(F, From, State) when is_function(F) -> F(From, State);
handle_call(get, _From, State) -> {reply, State, State}.

handle_cast(F, State) when is_function(F) -> F(State);
handle_cast(Message, State) -> trace({cast, Message}), {noreply, State}.

handle_info(F, State) when is_function(F) -> F(State);
handle_info(Message, State) -> trace({info, Message}), {noreply, State}.

handle_continue(F, State) when is_function(F) -> F(State);
handle_continue(What, State) -> trace({continue, What}), {noreply, State}.

terminate(Reason, State) -> trace({terminate, Reason, State}).

%% A server with a state, without a link.
server(State) ->
    {ok, P} = gen_server:start(?MODULE, State, []),
    P.
