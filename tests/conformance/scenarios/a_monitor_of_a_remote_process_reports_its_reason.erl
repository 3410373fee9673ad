%% The down message of a remote process has its exit reason.
-module(a_monitor_of_a_remote_process_reports_its_reason).
-include("scenario.hrl").

main() ->
    Node = start_node(a),
    P = spawn(Node, fun() -> idling() end),
    R = monitor(process, P),
    trace({P, R}),
    P ! {stop, {some, reason}},
    trace(next()),
    R2 = monitor(process, P),
    trace(R2),
    trace(next()).
