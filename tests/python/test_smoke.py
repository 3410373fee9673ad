import hornbeam_erlang as e
def test_x(worker):
    print(e.node(), e.nodes())
    assert e.rpc_call("worker@gpu-server","services","add",[1,2])==3
    assert e.execute("there","node")=="worker@gpu-server"
