%% A call of a function on another node of this host, without TLS.
%%
%%     erl -noshell -name a@127.0.0.1 -run remote_call main call
-module(remote_call).
-export([main/1]).

main(["call"]) ->
    {ok, Peer, Node} =
        peer:start_link(#{name => peer:random_name(), host => "127.0.0.1",
                          longnames => true, connection => standard_io,
                          args => ["-setcookie",
                                   atom_to_list(erlang:get_cookie())]}),
    pong = net_adm:ping(Node),
    calls(Node, 1000),
    Rounds = lists:sort([times(Node, 3000) || _ <- lists:seq(1, 5)]),
    io:format("{\"name\": \"call\", \"unit\": \"us\", \"value\": ~.4f}~n",
              [lists:nth(3, Rounds)]),
    peer:stop(Peer),
    halt().

times(Node, Count) ->
    Begin = erlang:monotonic_time(nanosecond),
    calls(Node, Count),
    (erlang:monotonic_time(nanosecond) - Begin) / 1000 / Count.

calls(_, 0) -> ok;
calls(Node, N) ->
    1 = erpc:call(Node, erlang, abs, [1]),
    calls(Node, N - 1).
