%% What every scenario has. The functions here are run by both sides.
-compile([export_all, nowarn_export_all, {no_auto_import, [disconnect_node/1]}]).
-import(harness, [trace/1, trace_any/2]).
-import(harness, [start_node/1, stop_node/1, disconnect_node/1]).

%% Waits until P has ended. (Its reason may be lost: P may end before we monitor it.)
gone(P) ->
    R = monitor(process, P),
    receive {'DOWN', R, process, _, _} -> gone end.

%% A process that has ended.
dead() ->
    P = spawn(fun() -> ok end),
    gone(P),
    P.

%% A process that answers `sync` and ends when it is told to.
idle() -> spawn(fun() -> idling() end).

idling() ->
    receive
        {sync, From} -> From ! {synced, self()}, idling();
        {stop, Reason} -> exit(Reason)
    end.

%% Returns when P, an idle process, has handled all that we sent it before.
sync(P) ->
    P ! {sync, self()},
    receive {synced, P} -> ok end.

%% Tells P, an idle process, to end and returns the reason it ended with.
stop(P, Reason) ->
    R = monitor(process, P),
    P ! {stop, Reason},
    receive {'DOWN', R, process, _, Why} -> Why end.

%% Ends P by exit/2 and returns the reason it ended with.
kill(P, Reason) ->
    R = monitor(process, P),
    exit(P, Reason),
    receive {'DOWN', R, process, _, Why} -> Why end.

%% The next message.
next() -> receive M -> M after 5000 -> no_message end.

%% All messages that are there now.
mailbox() -> receive M -> [M | mailbox()] after 0 -> [] end.

%% Waits until F() is true: for what nobody sends a message about.
until(F) -> until(F, 1000).

until(_, 0) -> too_late;
until(F, N) ->
    case F() of
        true -> ok;
        false -> receive after 1 -> until(F, N - 1) end
    end.

%% What calling F leads to.
outcome(F) ->
    try F() of
        Value -> {value, Value}
    catch
        Class:Reason -> {Class, Reason}
    end.
