%% A message and the exit signal that follows it keep their order.
-module(a_message_comes_before_the_exit_of_its_sender).
-include("scenario.hrl").

main() ->
    process_flag(trap_exit, true),
    Main = self(),
    P = spawn_link(fun() -> Main ! {last_words, self()}, exit(done) end),
    trace(next()),
    trace(next()),
    trace(gone(P)).
