%% The protocols of processes.cpp in Erlang: whoever changes one changes the
%% other.
%%
%%     erl -noshell +P 2000000 -run processes main ping_pong ring
-module(processes).
-behaviour(gen_server).
-export([main/1]).
-export([init/1, handle_call/3, handle_cast/2]).

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

run(ping_pong) -> {us, ping_pong(1000000)};
run(ping_pong_tuple) -> {us, ping_pong_tuple(500000)};
run(ring) -> {us, ring(1000, 1000000)};
run(one_way) -> {us, to_sink(1000000, 1000000)};
run(one_way_bounded) -> {us, to_sink(1000000, 1000)};
run(many_to_one) -> {us, many_to_one(100, 10000)};
run(gen_server_call) -> {us, gen_server_call(300000)};
run(selective_receive) -> {ns, selective_receive(10000, 10000)};
run(spawn_exit) -> {us, spawn_exit(3000, 100)};
run(spawn_exit_monitor) -> {us, spawn_exit_monitor(3000, 100)};
run(spawn_storm) -> {us, spawn_storm(1000000)};
run(spawn_storm_kept) -> {bytes, spawn_storm_kept(1000000)};
run(idle_memory) -> {bytes, idle_memory(1000000)};
run(idle_cpu) -> {ms, idle_cpu(10000)};
run(link_unlink) -> {us, link_unlink(300000)};
run(monitor_demonitor) -> {us, monitor_demonitor(300000)};
run(timers) -> {us, timers(300, 1000)}.

now_us() -> erlang:monotonic_time(nanosecond) / 1000.

times(0, _) -> ok;
times(N, F) -> F(), times(N - 1, F).

numbers(0) -> ok;
numbers(N) -> receive I when is_integer(I) -> numbers(N - 1) end.

%% Bytes of this program that are in memory now.
resident() ->
    {ok, Text} = file:read_file("/proc/self/statm"),
    [_, Pages | _] = binary:split(Text, <<" ">>, [global]),
    binary_to_integer(Pages) * 4096.

cpu_ms() ->
    {Total, _} = erlang:statistics(runtime),
    Total.

%% -- messages ---------------------------------------------------------------

echo() -> receive To when is_pid(To) -> echo(To) end.
echo(To) -> receive I when is_integer(I) -> To ! I, echo(To) end.

ping_pong(Count) ->
    Other = spawn(fun() -> echo() end),
    Other ! self(),
    Begin = now_us(),
    ping(Other, Count),
    (now_us() - Begin) / Count / 2.

ping(_, 0) -> ok;
ping(Other, N) ->
    Other ! N,
    receive I when is_integer(I) -> ping(Other, N - 1) end.

pong() -> receive {ping, From} when is_pid(From) ->
                  From ! {pong, self()}, pong()
          end.

ping_pong_tuple(Count) ->
    Other = spawn(fun() -> pong() end),
    Begin = now_us(),
    ping_tuple(Other, Count),
    (now_us() - Begin) / Count / 2.

ping_tuple(_, 0) -> ok;
ping_tuple(Other, N) ->
    Other ! {ping, self()},
    receive {pong, From} when is_pid(From) -> ping_tuple(Other, N - 1) end.

member(Home) -> receive Next when is_pid(Next) -> member(Home, Next) end.
member(Home, Next) ->
    receive
        Left when is_integer(Left), Left > 0 ->
            Next ! Left - 1, member(Home, Next);
        Left when is_integer(Left) ->
            Home ! Left - 1, member(Home, Next)
    end.

ring(Members, Hops) ->
    Home = self(),
    All = [First | Rest] = [spawn(fun() -> member(Home) end)
                            || _ <- lists:seq(1, Members)],
    lists:foreach(fun({X, Next}) -> X ! Next end,
                  lists:zip(All, Rest ++ [First])),
    Begin = now_us(),
    First ! Hops,
    numbers(1),
    (now_us() - Begin) / Hops.

%% Takes Count numbers and says so after each Window of them.
sink(_, Count, _, Count) -> ok;
sink(Home, Count, Window, N) ->
    receive I when is_integer(I) -> ok end,
    case (N + 1) rem Window of
        0 -> Home ! N + 1;
        _ -> ok
    end,
    sink(Home, Count, Window, N + 1).

%% At most two windows are on their way.
to_sink(Count, Window) ->
    Home = self(),
    To = spawn(fun() -> sink(Home, Count, Window, 0) end),
    Begin = now_us(),
    send_all(To, Count, Window, 1),
    numbers(1),
    (now_us() - Begin) / Count.

send_all(_, Count, _, I) when I > Count -> ok;
send_all(To, Count, Window, I) ->
    To ! I,
    if I rem Window =:= 0, I > Window -> numbers(1);
       true -> ok
    end,
    send_all(To, Count, Window, I + 1).

flood(_, 0) -> ok;
flood(To, N) -> To ! N, flood(To, N - 1).

many_to_one(Senders, Each) ->
    Home = self(),
    Count = Senders * Each,
    To = spawn(fun() -> sink(Home, Count, Count, 0) end),
    Begin = now_us(),
    times(Senders, fun() -> spawn(fun() -> flood(To, Each) end) end),
    numbers(1),
    (now_us() - Begin) / Count.

init([]) -> {ok, none}.
handle_call(X, _, State) -> {reply, X, State}.
handle_cast(_, State) -> {noreply, State}.

gen_server_call(Count) ->
    {ok, Server} = gen_server:start_link(?MODULE, [], []),
    Begin = now_us(),
    call_all(Server, Count),
    (now_us() - Begin) / Count.

call_all(_, 0) -> ok;
call_all(Server, N) -> gen_server:call(Server, N), call_all(Server, N - 1).

%% Nanoseconds for each message that a receive looks at and leaves.
selective_receive(Waiting, Count) ->
    [self() ! I || I <- lists:seq(1, Waiting)],
    Begin = now_us(),
    hits(Count),
    (now_us() - Begin) * 1000 / Count / Waiting.

hits(0) -> ok;
hits(N) ->
    self() ! hit,
    receive hit -> hits(N - 1) end.

%% -- lives ------------------------------------------------------------------

spawn_exit(Batches, Batch) ->
    Home = self(),
    Begin = now_us(),
    times(Batches,
          fun() ->
                  times(Batch, fun() -> spawn(fun() -> Home ! 0 end) end),
                  numbers(Batch)
          end),
    (now_us() - Begin) / (Batches * Batch).

spawn_exit_monitor(Batches, Batch) ->
    Begin = now_us(),
    times(Batches,
          fun() ->
                  times(Batch, fun() -> spawn_monitor(fun() -> ok end) end),
                  times(Batch, fun() ->
                                       receive {'DOWN', _, _, _, _} -> ok end
                               end)
          end),
    (now_us() - Begin) / (Batches * Batch).

%% Says that it is there, and before it goes.
idler(Home) ->
    Home ! 0,
    receive stop -> Home ! 0 end.

%% So many processes that wait in a receive.
idlers(0) -> [];
idlers(Count) ->
    Home = self(),
    Some = [spawn(fun() -> idler(Home) end) || _ <- lists:seq(1, 1000)],
    numbers(1000),
    Some ++ idlers(Count - 1000).

idle_memory(Count) ->
    Before = resident(),
    All = idlers(Count),
    Value = (resident() - Before) / Count,
    Count = length(All),
    Value.

%% Milliseconds of processor time in two seconds in which nothing happens.
idle_cpu(Count) ->
    All = idlers(Count),
    timer:sleep(500),
    Before = cpu_ms(),
    timer:sleep(2000),
    Value = cpu_ms() - Before,
    Count = length(All),
    Value.

storm(Count) ->
    All = idlers(Count),
    lists:foreach(fun(X) -> X ! stop end, All),
    numbers(Count).

spawn_storm(Count) ->
    Begin = now_us(),
    storm(Count),
    (now_us() - Begin) / Count.

%% Bytes for each process of the storm that the system has not got back.
spawn_storm_kept(Count) ->
    Before = resident(),
    storm(Count),
    garbage_collect(),
    timer:sleep(1000),
    max(resident() - Before, 0) / Count.

%% -- links, monitors, timers ------------------------------------------------

link_unlink(Count) ->
    Other = spawn(fun() -> echo() end),
    Begin = now_us(),
    times(Count, fun() -> link(Other), unlink(Other) end),
    (now_us() - Begin) / Count.

monitor_demonitor(Count) ->
    Other = spawn(fun() -> echo() end),
    Begin = now_us(),
    times(Count, fun() -> demonitor(monitor(process, Other)) end),
    (now_us() - Begin) / Count.

%% Sets a thousand, cancels a thousand.
timers(Rounds, Batch) ->
    Begin = now_us(),
    lists:foreach(
      fun(I) ->
              Set = [erlang:send_after(10000 + I, self(), I)
                     || _ <- lists:seq(1, Batch)],
              lists:foreach(fun erlang:cancel_timer/1, Set)
      end, lists:seq(1, Rounds)),
    (now_us() - Begin) / (Rounds * Batch).
