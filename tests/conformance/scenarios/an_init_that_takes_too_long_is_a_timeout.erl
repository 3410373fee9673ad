%% With {timeout, T} start returns {error, timeout} and the process is killed.
-module(an_init_that_takes_too_long_is_a_timeout).
-include("server.hrl").

main() ->
    Main = self(),
    trace(gen_server:start(?MODULE, fun() ->
        Main ! {init, self()},
        idling()
    end, [{timeout, 50}])),
    receive {init, P} -> gone(P) end,
    trace(is_process_alive(P)),
    trace(mailbox()).
