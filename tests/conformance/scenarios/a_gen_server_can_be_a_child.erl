%% A supervisor's child is what start_link returns; shutdown calls terminate.
-module(a_gen_server_can_be_a_child).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    Spec = {ok, {#{}, [#{id => server,
                         start => {gen_server, start_link,
                                   [{local, server}, ?MODULE, {state, 1}, []]}}]}},
    {ok, Sup} = supervisor:start_link(?MODULE, {sup, Spec}),
    trace(gen_server:call(server, get)),
    exit(Sup, shutdown),
    receive {'EXIT', Sup, Why} -> trace({supervisor, Why}) end.

init({sup, Spec}) -> Spec;
init({state, N}) -> process_flag(trap_exit, true), {ok, N}.
handle_call(get, _, N) -> {reply, N, N}.
handle_cast(_, N) -> {noreply, N}.
terminate(Reason, N) -> trace({terminate, Reason, N}).
