%% handle_continue may stop the server.
-module(continue_may_stop).
-include("server.hrl").

main() ->
    {ok, P} = gen_server:start(?MODULE, fun() ->
        {ok, state, {continue, fun(S) ->
            receive go -> {stop, {bye, S}, last} end
        end}}
    end, []),
    R = monitor(process, P),
    P ! go,
    receive {'DOWN', R, process, P, Why} -> trace({down, Why}) end.
