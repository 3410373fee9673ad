"""Trees that the configuration of a node names."""

import pytest
from launched import Folder

SHOP = """
from hornbeam import process
from hornbeam.gen_server import GenServer
from hornbeam.supervisor import ChildSpec, Supervisor

class Part(GenServer):
    def init(self, name):
        process.trap_exit()
        self.name = name
        print(name, "begins", flush=True)

    def handle_cast(self, request):
        raise LookupError(request)

    def terminate(self, reason):
        print(self.name, "ends with", reason, flush=True)

tree = Supervisor([ChildSpec("one", Part, ("one",)), ChildSpec("two", Part, ("two",))])

def other():
    return Supervisor([ChildSpec("three", Part, ("three",))])

def fails():
    raise LookupError("as told")

class inside:
    failing = Supervisor([ChildSpec("x", process.spawn_link, (fails,))])

broken = Supervisor([ChildSpec("x", fails)])
number = 5
"""


@pytest.fixture
def folder(tmp_path):
    found = Folder(tmp_path)
    found.write("shop.py", SHOP)
    return found


def cluster(folder, *names):
    text = '[cluster]\nname = "trees"\nsecret = "trees.pem"\n'
    text += f'[defaults]\npath = ["."]\n[nodes.a]\nstart = {list(names)}\n'
    return folder.write("cluster.toml", text)


def test_a_node_starts_its_trees_and_stops_them_in_reverse(folder):
    with folder.up(cluster(folder, "shop:tree", "shop:other")) as up:
        up.line("three begins")
        up.line("serves at")
        up.send()
        assert up.wait() == 0
        assert [x.partition("| ")[2] for x in up.out if " with " in x] == [
            "three ends with shutdown",
            "two ends with shutdown",
            "one ends with shutdown",
        ]
        assert not [x for x in up.err if x.startswith("a ")]


def test_a_node_whose_tree_gives_up_ends_with_1_and_is_started_again(folder):
    with folder.up(cluster(folder, "shop:other", "shop:inside.failing")) as up:
        up.line(r"the tree 'shop:inside.failing' has given up: shutdown")
        up.line(r"three ends with shutdown")
        up.line(r"a ended \(exit code 1\)")


@pytest.mark.parametrize(
    "name, said",
    [
        ("shop:number", "it is no Supervisor, but of type int"),
        ("shop:nothing", "has no attribute 'nothing'"),
        ("shap:tree", "No module named 'shap'"),
        ("shop:broken", "LookupError: as told"),
    ],
)
def test_a_tree_that_can_not_be_started_is_told_by_its_name(folder, name, said):
    with folder.up(cluster(folder, "shop:other", name)) as up:
        up.line(f"the tree '{name}' can't be started: .*{said}")
        up.line(r"three ends with shutdown")
        up.line(r"a ended \(exit code 1\)")


def test_trees_live_as_long_as_a_script(folder):
    folder.write("s.py", "print('at work')\n")
    path = cluster(folder, "shop:tree")
    with folder.up(path, "--run", "a:s.py") as up:
        assert up.wait() == 0
        said = [x.partition("| ")[2] for x in up.out if "|" in x]
        assert said[0] == "one begins" and "at work" in said
        assert said[-1] == "one ends with shutdown"
