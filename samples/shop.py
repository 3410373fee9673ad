"""A shop that dies of a mistake and comes back: `./dev python samples/shop.py`."""

from hornbeam import gen_server, process
from hornbeam.gen_server import GenServer
from hornbeam.supervisor import ChildSpec, Supervisor


class Shop(GenServer):
    def init(self, stock):
        self.stock = stock

    def handle_call(self, wanted, caller):
        if wanted > self.stock:
            raise ValueError(f"{wanted} of {self.stock} can't be sold")
        self.stock -= wanted
        return self.stock


def start_shop():
    return Shop.start_link(10, name="shop")


def customer():
    print("4 sold, left:", gen_server.call("shop", 4))
    try:
        gen_server.call("shop", 99)
    except gen_server.CallError as e:
        print(e)
    while process.whereis("shop") is None:  # its supervisor starts it again
        process.receive(timeout_ms=1)
    print("1 sold, left:", gen_server.call("shop", 1))


tree = Supervisor([ChildSpec("shop", start_shop)]).start()
_, ref = process.spawn_monitor(customer)
process.receive(match=ref)
gen_server.stop(tree, "shutdown")
