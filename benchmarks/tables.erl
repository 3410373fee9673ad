%% The operations of tables.cpp with ETS: whoever changes one changes the other.
%%
%%     erl -noshell -run tables main get_spread_1 incr_same_2
-module(tables).
-export([main/1]).

-define(KEYS, 10000).

main(Names) ->
    lists:foreach(
      fun(Name) ->
              {Unit, Value} = apart(fun() -> run(list_to_atom(Name)) end),
              io:format("{\"name\": \"~s\", \"unit\": \"~s\", "
                        "\"value\": ~.4f}~n", [Name, Unit, float(Value)])
      end, Names),
    halt().

%% In a process of its own, with a heap of its own.
apart(F) ->
    {_, Ref} = spawn_monitor(fun() -> exit({result, F()}) end),
    receive {'DOWN', Ref, process, _, {result, X}} -> X end.

now_us() -> erlang:monotonic_time(nanosecond) / 1000.

run(get_same_1) -> {us, each(1, false, fun get/3)};
run(get_same_2) -> {us, each(2, false, fun get/3)};
run(get_spread_1) -> {us, each(1, true, fun get/3)};
run(get_spread_2) -> {us, each(2, true, fun get/3)};
run(set_same_1) -> {us, each(1, false, fun set/3)};
run(set_same_2) -> {us, each(2, false, fun set/3)};
run(set_spread_1) -> {us, each(1, true, fun set/3)};
run(set_spread_2) -> {us, each(2, true, fun set/3)};
run(incr_same_1) -> {us, each(1, false, fun incr/3)};
run(incr_same_2) -> {us, each(2, false, fun incr/3)};
run(incr_spread_1) -> {us, each(1, true, fun incr/3)};
run(incr_spread_2) -> {us, each(2, true, fun incr/3)};
run(insert_delete_1) -> {us, insert_delete(1)};
run(insert_delete_2) -> {us, insert_delete(2)};
run(get_many_100) -> {us, get_many()};
run(scan) -> {ns, scan()};
run(memory_per_entry) -> {bytes, memory_per_entry()}.

get(T, Key, _) -> ets:lookup(T, Key).
set(T, Key, I) -> ets:insert(T, {Key, I}).
incr(T, Key, _) -> ets:update_counter(T, Key, 1).

new() -> ets:new(t, [set, public, {write_concurrency, true}]).

name(I) -> <<"key:", (integer_to_binary(I))/binary>>.

names(Count) -> list_to_tuple([name(I) || I <- lists:seq(0, Count - 1)]).

fill(T, Keys) ->
    lists:foreach(fun(I) -> ets:insert(T, {element(I, Keys), I - 1}) end,
                  lists:seq(1, tuple_size(Keys))).

%% Microseconds for each of the Count calls that each process makes, all
%% processes together.
each(Threads, Spread, F) ->
    Count = 1000000,
    T = new(),
    fill(T, names(?KEYS)),
    Home = self(),
    All = [spawn_link(fun() ->
                              Mine = names(?KEYS),
                              Home ! ready,
                              receive go -> ok end,
                              work(T, Mine, Spread, F, I, 0, Count),
                              Home ! done
                      end) || I <- lists:seq(0, Threads - 1)],
    wait(ready, Threads),
    Begin = now_us(),
    lists:foreach(fun(P) -> P ! go end, All),
    wait(done, Threads),
    (now_us() - Begin) / Count / Threads.

wait(_, 0) -> ok;
wait(What, N) -> receive What -> wait(What, N - 1) end.

work(_, _, _, _, _, Count, Count) -> ok;
work(T, Keys, true, F, At, I, Count) ->
    Next = (At * 4649 + 101) rem ?KEYS,
    F(T, element(Next + 1, Keys), I),
    work(T, Keys, true, F, Next, I + 1, Count);
work(T, Keys, false, F, At, I, Count) ->
    F(T, element(2, Keys), I),
    work(T, Keys, false, F, At, I + 1, Count).

insert_delete(Threads) ->
    Count = 500000,
    T = new(),
    Home = self(),
    Begin = now_us(),
    lists:foreach(
      fun(N) ->
              spawn_link(fun() ->
                                 insert(T, N * Count, N * Count + Count),
                                 delete(T, N * Count, N * Count + Count),
                                 Home ! done
                         end)
      end, lists:seq(0, Threads - 1)),
    wait(done, Threads),
    (now_us() - Begin) / Count / Threads / 2.

insert(_, End, End) -> ok;
insert(T, I, End) -> ets:insert_new(T, {I, I}), insert(T, I + 1, End).

delete(_, End, End) -> ok;
delete(T, I, End) -> ets:delete(T, I), delete(T, I + 1, End).

get_many() ->
    Count = 20000,
    T = new(),
    Keys = names(?KEYS),
    fill(T, Keys),
    Begin = now_us(),
    many(T, Keys, 0, Count),
    (now_us() - Begin) / Count.

many(_, _, Count, Count) -> ok;
many(T, Keys, I, Count) ->
    First = I * 37 rem (?KEYS - 100),
    [ets:lookup(T, element(First + N, Keys)) || N <- lists:seq(1, 100)],
    many(T, Keys, I + 1, Count).

scan() ->
    T = new(),
    fill(T, names(1000000)),
    Begin = now_us(),
    1000000 = scan(ets:match_object(T, '_', 1000), 0),
    (now_us() - Begin) / 1000.

scan('$end_of_table', N) -> N;
scan({Some, Next}, N) -> scan(ets:match_object(Next), N + length(Some)).

memory_per_entry() ->
    T = new(),
    fill(T, names(1000000)),
    ets:info(T, memory) * erlang:system_info(wordsize) / 1000000.
