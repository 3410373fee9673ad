%% Monitoring a process three times gives three references and three messages.
-module(each_monitor_has_its_own_down_message).
-include("scenario.hrl").

main() ->
    P = idle(),
    R1 = monitor(process, P),
    R2 = monitor(process, P),
    R3 = monitor(process, P),
    trace([R1, R2, R3]),
    trace(demonitor(R2)),
    P ! {stop, done},
    receive {'DOWN', R1, process, _, Why1} -> trace({R1, Why1}) end,
    receive {'DOWN', R3, process, _, Why3} -> trace({R3, Why3}) end,
    trace(mailbox()).
