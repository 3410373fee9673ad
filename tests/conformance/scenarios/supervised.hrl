%% Supervisors and their workers. main/0 calls watch/0 first; up/1 then waits for
%% the start of a worker.
-include("scenario.hrl").

init(Spec) -> Spec.

watch() ->
    process_flag(trap_exit, true),
    register(watcher, self()).

%% A supervisor: its flags as in supervisor(3), its children.
supervise(Flags, Children) ->
    supervisor:start_link(?MODULE, {ok, {Flags, Children}}).

%% A permanent worker.
child(Name) -> child(Name, #{}).
child(Name, More) ->
    maps:merge(#{id => Name, start => {?MODULE, start_worker, [Name]}}, More).

%% Starts a worker that traces its start, and its stop if the supervisor asks.
start_worker(Name) ->
    Parent = self(),
    P = spawn_link(fun() ->
        process_flag(trap_exit, true),
        register(Name, self()),
        trace({start, Name}),
        Parent ! {started, self()},
        watcher ! {up, Name, self()},
        working(Name)
    end),
    receive {started, P} -> {ok, P} end.

%% A worker without a name that goes on although it is told to stop.
start_stubborn(Name) ->
    Parent = self(),
    P = spawn_link(fun() ->
        process_flag(trap_exit, true),
        trace({start, Name}),
        Parent ! {started, self()},
        stubborn(Name)
    end),
    receive {started, P} -> {ok, P} end.

working(Name) ->
    receive
        {'EXIT', _, Reason} -> trace({stop, Name, Reason}), exit(Reason);
        {die, Reason} -> exit(Reason)
    end.

stubborn(Name) ->
    receive {'EXIT', _, Reason} -> trace({ignored, Name, Reason}), stubborn(Name) end.

%% Waits until the worker has been started, again or for the first time.
up(Name) -> receive {up, Name, P} -> P end.

%% Ends a worker with a reason and waits for its end.
die(Name, Reason) ->
    R = monitor(process, Name),
    Name ! {die, Reason},
    receive {'DOWN', R, process, _, _} -> ok end.

%% Ends a supervisor as its parent does, and returns its reason.
shut_down(Sup) ->
    exit(Sup, shutdown),
    receive {'EXIT', Sup, Reason} -> Reason end.

%% The ids of the children and whether they run, last one first.
children(Sup) -> [{Id, state(P)} || {Id, P, _, _} <- supervisor:which_children(Sup)].

state(P) when is_pid(P) -> up;
state(Other) -> Other.
