%% What it takes to ask another node of this host, without TLS: for an entry of a
%% table, or to call a function; or to send it messages, as nodes.cpp does.
%%
%%     erl -noshell -name a@127.0.0.1 -run remote main lookup|call|one_way
-module(remote).
-export([main/1, serve/0, sink/0]).

main([Name]) ->
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
    io:format("{\"name\": \"~s\", \"unit\": \"us\", \"value\": ~.4f}~n",
              [Name, measure(Name, Node)]),
    peer:stop(Peer),
    halt().

measure("one_way", Node) ->
    Sink = spawn(Node, ?MODULE, sink, []),
    Message = binary:copy(<<"x">>, 100),
    Count = 100000,
    Round = fun(_) ->
                Sink ! {self(), Count},
                Begin = erlang:monotonic_time(nanosecond),
                repeat(fun() -> Sink ! Message end, Count),
                receive done -> ok end,
                (erlang:monotonic_time(nanosecond) - Begin) / 1000 / Count
            end,
    lists:nth(4, lists:sort([Round(I) || I <- lists:seq(1, 7)]));
measure(Name, Node) ->
    Ask = action(Name, Node),
    times(Ask, 1000),
    lists:nth(3, lists:sort([times(Ask, 3000) || _ <- lists:seq(1, 5)])).

%% Says when it has got so many messages.
sink() ->
    receive {From, Count} -> count(From, Count) end,
    sink().

count(From, 0) -> From ! done;
count(From, Count) -> receive <<_/binary>> -> count(From, Count - 1) end.

action("lookup", Node) ->
    fun() -> [{_, 1}] = erpc:call(Node, ets, lookup, [t, <<"n">>]) end;
action("call", Node) ->
    fun() -> 1 = erpc:call(Node, erlang, abs, [1]) end.

%% Owns the table.
serve() ->
    ets:new(t, [set, public, named_table]),
    ets:insert(t, {<<"n">>, 1}),
    receive {ready, From} -> From ! ready end,
    receive stop -> ok end.

times(Ask, Count) ->
    Begin = erlang:monotonic_time(nanosecond),
    repeat(Ask, Count),
    (erlang:monotonic_time(nanosecond) - Begin) / 1000 / Count.

repeat(_, 0) -> ok;
repeat(Ask, N) ->
    Ask(),
    repeat(Ask, N - 1).
