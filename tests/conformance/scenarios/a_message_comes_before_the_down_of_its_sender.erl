%% A message and the down message that follows it keep their order.
-module(a_message_comes_before_the_down_of_its_sender).
-include("scenario.hrl").

main() ->
    Main = self(),
    {P, R} = spawn_monitor(fun() -> Main ! {last_words, self()}, exit(done) end),
    trace({P, R}),
    trace(next()),
    trace(next()).
