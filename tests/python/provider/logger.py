"""The module that the example of `rpc_cast` calls."""

import hornbeam_erlang


def log(level, text):
    hornbeam_erlang.publish("log lines", [level, text])
