%% Runs each scenario several times, half of them beside busy processes, and
%% writes its trace if it was the same each time.
-module(recorder).
-export([main/1]).

main([Here, Beams, Runs | Names]) ->
    harness:open(Beams),
    All = [filename:basename(F, ".erl")
           || F <- filelib:wildcard(Here ++ "/scenarios/*.erl")],
    Wanted = case Names of [] -> All; _ -> Names end,
    Bad = [Name || Name <- Wanted,
                   not record(Here, Beams, Name, list_to_integer(Runs))],
    io:format("~b recorded, ~b refused~n",
              [length(Wanted) - length(Bad), length(Bad)]),
    [io:format("  ~s~n", [Name]) || Name <- Bad],
    halt(case Bad of [] -> 0; _ -> 1 end).

record(Here, Beams, Name, Runs) ->
    Source = Here ++ "/scenarios/" ++ Name ++ ".erl",
    case compile:file(Source, [{outdir, Beams}, report_errors,
                               {i, Here ++ "/scenarios"}]) of
        {ok, Module} ->
            code:purge(Module),
            {module, Module} = code:load_file(Module),
            check(Here, Name, [run(Module, N) || N <- lists:seq(1, Runs)]);
        _ ->
            false
    end.

check(Here, Name, Results) ->
    case lists:usort(Results) of
        [{ok, Text}] ->
            Head = "# Erlang/OTP " ++ erlang:system_info(otp_release) ++ "\n",
            ok = file:write_file(Here ++ "/traces/" ++ Name ++ ".trace",
                                 [Head, Text]),
            true;
        Several ->
            io:format("~s: ~b different results~n", [Name, length(Several)]),
            [io:format("---~n~ts~n", [text(R)]) || R <- lists:sublist(Several, 3)],
            false
    end.

text({ok, Text}) -> Text;
text({failed, Why, Text}) -> io_lib:format("failed: ~p~n~ts", [Why, Text]).

run(Module, N) ->
    Busy = [spawn(fun spin/0) || _ <- lists:seq(1, 3 * (N rem 2))],
    Before = processes(),
    {Main, Ref} = spawn_monitor(fun() -> Module:main(), harness:finish() end),
    End = receive {'DOWN', Ref, process, Main, Reason} -> Reason
          after 20000 -> deadline end,
    [exit(P, kill) || P <- Busy],
    sweep(Before),
    Text = unicode:characters_to_binary(trace_text:render(harness:take())),
    harness:close_nodes(),
    case End of
        normal -> {ok, Text};
        _ -> {failed, End, Text}
    end.

spin() -> spin().

sweep(Before) ->
    case processes() -- Before of
        [] -> ok;
        Left ->
            [exit(P, kill) || P <- Left],
            receive after 1 -> sweep(Before) end
    end,
    receive _ -> sweep(Before) after 0 -> ok end.
