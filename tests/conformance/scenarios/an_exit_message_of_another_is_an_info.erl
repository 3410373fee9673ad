%% Exits of others than the parent go to handle_info of a server that traps.
-module(an_exit_message_of_another_is_an_info).
-include("scenario.hrl").

main() ->
    {ok, P} = gen_server:start(?MODULE, self(), []),
    Other = spawn(fun() -> link(P), exit(broken) end),
    trace(Other),
    trace(next()),
    trace(self()),
    exit(P, {from, main}),
    trace(next()),
    trace(is_process_alive(P)).

init(Main) -> process_flag(trap_exit, true), {ok, Main}.
handle_call(_, _, Main) -> {reply, ok, Main}.
handle_cast(_, Main) -> {noreply, Main}.
handle_info(Message, Main) -> Main ! {info, Message}, {noreply, Main}.
