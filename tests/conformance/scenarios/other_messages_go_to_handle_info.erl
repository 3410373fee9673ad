%% What is neither call nor cast is handled by handle_info, also a late timer.
-module(other_messages_go_to_handle_info).
-include("server.hrl").

main() ->
    P = server(state),
    P ! hello,
    P ! {timeout, 1},
    gen_server:call(P, get),
    trace(mailbox()).
