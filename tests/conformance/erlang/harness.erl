%% What scenarios call while real Erlang records them. Each trace is an entry of
%% a public table: to trace is synchronous, sends nothing and links nothing.
-module(harness).
-export([open/1, finish/0, take/0, close_nodes/0, label/1]).
-export([trace/1, trace_any/2, start_node/1, stop_node/1, disconnect_node/1]).

%% Once, by the recorder: Beams is where other nodes find the scenarios.
open(Beams) ->
    ets:new(?MODULE, [named_table, public, ordered_set]),
    ets:insert(?MODULE, [{lines, 0}, {beams, Beams}]).

trace(Term) -> add({line, Term}).
trace_any(Group, Term) -> add({any, Group, Term}).

add(Line) ->
    N = ets:update_counter(?MODULE, lines, 1),
    ets:insert(?MODULE, {N, Line}),
    ok.

%% Called when main/0 has returned. What processes that are left over trace is not
%% part of the trace.
finish() -> add(finished).

%% The lines of the scenario, whose processes are gone; the next one starts without.
take() ->
    All = lists:sort([{N, Line} || {N, Line} <- ets:tab2list(?MODULE), is_integer(N)]),
    [ets:delete(?MODULE, N) || {N, _} <- All],
    ets:insert(?MODULE, {lines, 0}),
    lists:takewhile(fun(Line) -> Line =/= finished end, [Line || {_, Line} <- All]).

%% Another node, connected to this one. It is held over its standard input, so
%% that it stays while it is disconnected.
start_node(Name) ->
    Unique = atom_to_list(Name) ++ "_" ++ os:getpid() ++ "_"
        ++ integer_to_list(erlang:unique_integer([positive])),
    Beams = ets:lookup_element(?MODULE, beams, 2),
    {ok, Peer, Node} = peer:start(
        #{name => Unique, host => "127.0.0.1", longnames => true,
          connection => standard_io,
          args => ["-setcookie", "hornbeam_record", "-pa", Beams,
                   "-kernel", "logger_level", "none", "-kernel", "connect_all",
                   "false", "-kernel", "prevent_overlapping_partitions",
                   "false"]}),
    true = net_kernel:connect_node(Node),
    ets:insert(?MODULE, {{node, Node}, Name, Peer}),
    Node.

stop_node(Node) ->
    [{_, _, Peer}] = ets:lookup(?MODULE, {node, Node}),
    peer:stop(Peer),
    without(Node).

disconnect_node(Node) ->
    true = erlang:disconnect_node(Node),
    without(Node).

without(Node) ->
    case lists:member(Node, nodes()) of
        true -> receive after 1 -> without(Node) end;
        false -> ok
    end.

close_nodes() ->
    Nodes = ets:match_object(?MODULE, {{node, '_'}, '_', '_'}),
    [catch peer:stop(Peer) || {_, _, Peer} <- Nodes],
    [ets:delete(?MODULE, Key) || {Key, _, _} <- Nodes].

%% How traces call a node; none for an atom that is no node's name.
label(Node) when Node =:= node() -> {ok, main};
label(Atom) ->
    case ets:lookup(?MODULE, {node, Atom}) of
        [{_, Name, _}] -> {ok, Name};
        [] -> none
    end.
