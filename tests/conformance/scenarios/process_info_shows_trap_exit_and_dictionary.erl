%% trap_exit and dictionary, of oneself and of others.
-module(process_info_shows_trap_exit_and_dictionary).
-include("scenario.hrl").

main() ->
    trace(process_info(self(), trap_exit)),
    process_flag(trap_exit, true),
    trace(process_info(self(), trap_exit)),
    put(key, value),
    trace(process_info(self(), dictionary)),
    P = idle(),
    sync(P),
    trace(process_info(P, trap_exit)),
    trace(process_info(P, dictionary)),
    trace(kill(P, kill)).
