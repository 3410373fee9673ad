%% {local, Name} belongs to one supervisor at a time.
-module(a_second_supervisor_of_a_name_is_already_started).
-include("supervised.hrl").

main() ->
    watch(),
    {ok, Sup} = supervisor:start_link({local, sup}, ?MODULE, {ok, {#{}, []}}),
    trace(whereis(sup) =:= Sup),
    {error, {already_started, Sup}} =
        supervisor:start_link({local, sup}, ?MODULE, {ok, {#{}, []}}),
    trace(supervisor:which_children(sup)).
