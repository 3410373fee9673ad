%% A look-up in a table of another node on this host, without TLS.
%%
%%     erl -noshell -name a@127.0.0.1 -run remote_table main lookup
-module(remote_table).
-export([main/1, serve/0]).

main(["lookup"]) ->
    {ok, Peer, Node} =
        peer:start_link(#{name => peer:random_name(), host => "127.0.0.1",
                          longnames => true, connection => standard_io,
                          args => ["-pa", filename:dirname(code:which(?MODULE)),
                                   "-setcookie",
                                   atom_to_list(erlang:get_cookie())]}),
    pong = net_adm:ping(Node),
    Owner = spawn(Node, ?MODULE, serve, []),
    Owner ! {ready, self()},
    receive ready -> ok end,
    times(Node, 1000),
    Rounds = lists:sort([times(Node, 3000) || _ <- lists:seq(1, 5)]),
    io:format("{\"name\": \"lookup\", \"unit\": \"us\", \"value\": ~.4f}~n",
              [lists:nth(3, Rounds)]),
    peer:stop(Peer),
    halt().

%% Owns the table.
serve() ->
    ets:new(t, [set, public, named_table]),
    ets:insert(t, {<<"n">>, 1}),
    receive {ready, From} -> From ! ready end,
    receive stop -> ok end.

times(Node, Count) ->
    Begin = erlang:monotonic_time(nanosecond),
    lookups(Node, Count),
    (erlang:monotonic_time(nanosecond) - Begin) / 1000 / Count.

lookups(_, 0) -> ok;
lookups(Node, N) ->
    [{_, 1}] = erpc:call(Node, ets, lookup, [t, <<"n">>]),
    lookups(Node, N - 1).
