%% init runs before start_link returns, in the new process.
-module(start_link_returns_when_init_is_done).
-include("server.hrl").

main() ->
    Main = self(),
    {ok, P} = gen_server:start_link(?MODULE, fun() ->
        trace({init, self() =/= Main}),
        {ok, state}
    end, []),
    trace(started),
    trace(process_info(self(), links) =:= {links, [P]}),
    trace(gen_server:call(P, get)).
