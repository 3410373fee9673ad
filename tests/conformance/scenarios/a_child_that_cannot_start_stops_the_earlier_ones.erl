%% When the third child fails to start the first two are stopped in reverse, and
%% start_link returns the error.
-module(a_child_that_cannot_start_stops_the_earlier_ones).
-include("supervised.hrl").

main() ->
    watch(),
    Bad = #{id => bad, start => {?MODULE, refuse, [{error, no_way}]}},
    Result = supervise(#{}, [child(a), child(b), Bad, child(d)]),
    {error, {shutdown, {failed_to_start_child, bad, Why}}} = Result,
    trace(Why),
    [receive {up, N, _} -> ok end || N <- [a, b]],
    trace(element(1, Result)),
    receive {'EXIT', _, Exit} -> trace(Exit) end,
    trace(mailbox()).

refuse(Result) -> Result.
