%% gen_server:reply({Pid, Tag}, X) sends {Tag, X} to Pid, whatever the tag is.
-module(a_reply_to_a_pid_and_any_tag_is_a_message).
-include("scenario.hrl").

main() ->
    trace(gen_server:reply({self(), tag}, answer)),
    R = make_ref(),
    trace({R, gen_server:reply({self(), R}, answer)}),
    trace(gen_server:reply({self(), {a, 1}}, answer)),
    trace(mailbox()),
    trace(gen_server:reply({dead(), tag}, answer)),
    Other = idle(),
    trace({Other, gen_server:reply({Other, sync}, self())}),
    trace(next()).
