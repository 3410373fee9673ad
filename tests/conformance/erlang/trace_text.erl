%% The canonical text of a trace. Processes and references are numbered in the
%% order in which they appear; nodes have labels; a stack is '$stack'. Lines of one
%% group that follow each other are sorted, as their order is free.
-module(trace_text).
-export([render/1]).

render(Lines) -> lines(Lines, #{pids => 0, refs => 0}).

lines([], _) -> [];
lines([{line, Term} | More], Seen) ->
    {Text, Next} = show(Term, Seen),
    [Text, "\n" | lines(More, Next)];
lines([{any, Group, _} | _] = Lines, Seen) ->
    {Same, More} = lists:splitwith(
        fun({any, G, _}) -> G =:= Group; (_) -> false end, Lines),
    Sorted = lists:sort([{lists:flatten(sketch(Term, Seen)), Term}
                         || {any, _, Term} <- Same]),
    {Texts, Next} = lists:mapfoldl(
        fun({_, Term}, S) -> show(Term, S) end, Seen, Sorted),
    Mark = "any " ++ atom_to_list(Group) ++ ": ",
    [[[Mark, Text, "\n"] || Text <- Texts] | lines(More, Next)].

%% With '?' for what has no number yet: free lines are sorted by this.
sketch(Term, Seen) -> element(1, show(Term, Seen#{sketch => true})).

show(X, S) when is_pid(X) -> numbered(X, pids, "<p", ">", S);
show(X, S) when is_reference(X) -> numbered(X, refs, "#r", "", S);
show(X, S) when is_function(X) -> {"fun", S};
show(X, S) when is_tuple(X) -> items("{", tuple_to_list(X), "}", S);
show(X, S) when is_map(X) ->
    {Pairs, Next} = lists:mapfoldl(fun pair/2, S, lists:sort(maps:to_list(X))),
    {["#{", lists:join(",", Pairs), "}"], Next};
show(X, S) when is_list(X) ->
    case is_stack(X) of
        true -> {"'$stack'", S};
        false -> items("[", X, "]", S)
    end;
show(X, S) when is_atom(X) ->
    case harness:label(X) of
        {ok, Label} -> {["'@", atom_to_list(Label), "'"], S};
        none -> {io_lib:format("~p", [X]), S}
    end;
show(X, S) -> {io_lib:format("~w", [X]), S}.

pair({Key, Value}, S) ->
    {K, S1} = show(Key, S),
    {V, S2} = show(Value, S1),
    {[K, " => ", V], S2}.

items(Open, Items, Close, S) ->
    {Texts, Next} = lists:mapfoldl(fun show/2, S, Items),
    {[Open, lists:join(",", Texts), Close], Next}.

numbered(X, Kind, Open, Close, S) ->
    case S of
        #{X := N} -> {[Open, integer_to_list(N), Close], S};
        #{sketch := true} -> {[Open, "?", Close], S};
        #{Kind := N} ->
            {[Open, integer_to_list(N + 1), Close], S#{X => N + 1, Kind := N + 1}}
    end.

is_stack([_ | _] = List) -> lists:all(fun is_frame/1, List);
is_stack([]) -> false.

is_frame({M, F, A, Where}) ->
    is_atom(M) andalso is_atom(F) andalso is_list(Where)
        andalso (is_integer(A) orelse is_list(A));
is_frame(_) -> false.
