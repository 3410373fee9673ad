"""The module that the example of `rpc_call` calls."""


def predict(input_data):
    return {"label": "cat", "seen": input_data}
