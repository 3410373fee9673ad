#include <cstdio>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "config/json.hpp"
#include "config/load.hpp"

using namespace hornbeam::config;
namespace fs = std::filesystem;

namespace {

/// A file in a folder of its own that lives as long as this.
class temporary_file {
public:
  explicit temporary_file(const std::string& text) {
    std::string pattern = fs::temp_directory_path() / "hornbeam-config-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    std::ofstream{path()} << text;
  }
  ~temporary_file() { fs::remove_all(folder_); }
  std::string path() const { return folder_ / "it.toml"; }
  std::string folder() const { return folder_; }

private:
  fs::path folder_;
};

/// What is said about a file, without its folder: `it.toml:3: ...`.
template <class F>
std::string complaint(F load, const std::string& text) {
  temporary_file file{text};
  try {
    load(file.path());
  } catch (const config_error& e) {
    std::string what = e.what();
    auto prefix = file.folder() + "/";
    return what.starts_with(prefix) ? what.substr(prefix.size()) : what;
  }
  return "no complaint";
}

std::string node_complaint(const std::string& text) {
  return complaint(load_node, text);
}

std::string cluster_complaint(const std::string& text) {
  return complaint(load_cluster, text);
}

bool starts(const std::string& text, const std::string& prefix) {
  INFO(text);
  CHECK(text.substr(0, prefix.size()) == prefix);
  return text.starts_with(prefix);
}

bool contains(const std::string& text, const std::string& part) {
  INFO(text << "\nshould contain: " << part);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

constexpr const char* two_nodes = R"(
[cluster]
name = "test"
secret = "it.pem"
heartbeat_ms = 200
detection_ms = 700
restart_intensity = 7
restart_period_ms = 900

[defaults]
path = ["lib", "/usr/share/lib"]
pool = 3

[nodes.web]
port = 4444

[nodes.worker]
host = "127.0.0.2"
path = []
modules = ["jobs"]
exports = ["jobs"]
pool = 5
)";

} // namespace

TEST_CASE("a node's file is read into its settings") {
  temporary_file file{R"(
[node]
name = "one@127.0.0.1"
port = 4370
workers = 2
peers = ["two@10.0.0.2:4371", "three@10.0.0.3"]
plugins = ["lib/words.so", "/opt/other.so"]
[cluster]
name = "house"
connect_ms = 10
flush_ms = 20
remote_debug = true
[python]
start = ["shop:tree"]
path = ["../lib"]
call_timeout_ms = 30
task_keep_ms = 40
task_keep_count = 50
task_keep_bytes = 60
)"};
  auto x = load_node(file.path());
  CHECK(x.node.name == "one@127.0.0.1");
  CHECK(x.node.cluster == "house");
  CHECK(x.node.listen);
  CHECK(x.node.port == 4370);
  CHECK(x.node.workers == 2);
  CHECK(x.node.connect_ms == 10);
  CHECK(x.node.flush_ms == 20);
  CHECK(x.node.remote_debug);
  CHECK(x.python.start == std::vector<std::string>{"shop:tree"});
  CHECK(x.node.secret.empty());
  REQUIRE(x.node.peers.size() == 2);
  CHECK(x.node.peers[0].name == "two@10.0.0.2");
  CHECK(x.node.peers[0].address == "10.0.0.2:4371");
  CHECK(x.node.peers[1].name == "three@10.0.0.3");
  CHECK(x.node.peers[1].address.empty());
  CHECK(
    x.python.path
    == std::vector{fs::path(file.folder()).parent_path().string() + "/lib"});
  CHECK(x.plugins
        == std::vector<std::string>{file.folder() + "/lib/words.so",
                                    "/opt/other.so"});
  CHECK(x.python.call_timeout_ms == 30);
  CHECK(x.python.task_keep_ms == 40);
  CHECK(x.python.task_keep_count == 50);
  CHECK(x.python.task_keep_bytes == 60);
}

TEST_CASE("processes that share a node's file may be numbered") {
  temporary_file file{
    "[node]\nname = \"web-#\"\nhost = \"127.0.0.9\"\nserve = false\n"};
  auto x = load_node(file.path()).node;
  CHECK(x.name == "web-#@127.0.0.9");
  CHECK_FALSE(x.serve);
  for (auto* name : {"#-#", "web-#@#", "web@h#", "a b#"})
    starts(node_complaint("[node]\nname = \"" + std::string{name} + "\"\n"),
           "it.toml:2: node.name: ");
  starts(cluster_complaint("[nodes.\"web-#\"]\n"), "it.toml:1: nodes.web-#: ");
}

TEST_CASE("a tree that a node starts is given by its module and its name") {
  for (auto* x : {"shop", ":tree", "shop:"})
    starts(
      cluster_complaint("[nodes.a]\nstart = [\"" + std::string{x} + "\"]\n"),
      "it.toml:2: nodes.a.start: a tree is given as module:name");
}

TEST_CASE("a short node name takes the node's host") {
  temporary_file file{"[node]\nname = \"one\"\nhost = \"127.0.0.9\"\n"};
  CHECK(load_node(file.path()).node.name == "one@127.0.0.9");
}

TEST_CASE("each node of a cluster listens and has the others as peers") {
  temporary_file file{two_nodes};
  auto x = load_cluster(file.path());
  CHECK(x.name == "test");
  CHECK(x.restart.intensity == 7);
  CHECK(x.restart.period_ms == 900);
  REQUIRE(x.nodes.size() == 2);
  auto& web = x.nodes[0];
  auto& worker = x.nodes[1];
  CHECK(web.node.name == "web@127.0.0.1");
  CHECK(worker.node.name == "worker@127.0.0.2");
  for (auto* n : {&web, &worker}) {
    CHECK(n->node.listen);
    CHECK(n->node.cluster == "test");
    CHECK(n->node.heartbeat_ms == 200);
    CHECK(n->node.detection_ms == 700);
    REQUIRE(n->node.peers.size() == 1);
  }
  CHECK(web.node.peers[0].name == "worker@127.0.0.2");
  CHECK(web.node.peers[0].address.empty());
  CHECK(worker.node.peers[0].name == "web@127.0.0.1");
  CHECK(worker.node.peers[0].address == "127.0.0.1:4444");
}

TEST_CASE("a node's own keys win over the defaults") {
  temporary_file file{two_nodes};
  auto x = load_cluster(file.path());
  CHECK(x.nodes[0].python.pool == 3);
  CHECK(x.nodes[1].python.pool == 5);
  CHECK(x.nodes[1].python.path.empty());
  CHECK(x.nodes[1].python.exports == std::vector<std::string>{"jobs"});
}

TEST_CASE("relative paths are taken from the folder of the file") {
  temporary_file file{two_nodes};
  auto x = load_cluster(file.path());
  CHECK(x.nodes[0].node.secret == file.folder() + "/it.pem");
  CHECK(x.nodes[0].python.path
        == std::vector<std::string>{file.folder() + "/lib", "/usr/share/lib"});
}

TEST_CASE("nodes keep the order of the file") {
  temporary_file file{"[nodes.zoe]\n[nodes.adam]\n[nodes.mia]\n"};
  auto x = load_cluster(file.path());
  REQUIRE(x.nodes.size() == 3);
  CHECK(x.nodes[0].node.name == "zoe@127.0.0.1");
  CHECK(x.nodes[2].node.name == "mia@127.0.0.1");
}

TEST_CASE("a node is found by its short and by its full name") {
  temporary_file file{two_nodes};
  auto x = load_cluster(file.path());
  CHECK(find_node(x, "web").node.port == 4444);
  CHECK(find_node(x, "worker@127.0.0.2").node.host == "127.0.0.2");
  CHECK_THROWS_WITH(find_node(x, "wob"),
                    "there is no node 'wob' in the cluster test; it has "
                    "web@127.0.0.1, worker@127.0.0.2");
}

TEST_CASE("a numbered node is found by each of its names") {
  temporary_file file{"[node]\nname = \"web-#\"\n"};
  auto x = load(file.path());
  CHECK(find_node(x, "web-1").node.name == "web-1@127.0.0.1");
  CHECK(find_node(x, "web-27@127.0.0.1").node.name == "web-27@127.0.0.1");
  CHECK(find_node(x, "web-#").node.name == "web-#@127.0.0.1");
  for (auto* other : {"web", "web-", "web-1a", "web-1@127.0.0.2", "w", "eb-1"})
    CHECK_THROWS_WITH(find_node(x, other),
                      Catch::Contains("it has web-#@127.0.0.1"));
}

TEST_CASE("load takes both kinds of files") {
  temporary_file one{"[node]\nname = \"one\"\n[cluster]\nname = \"solo\"\n"};
  auto x = load(one.path());
  CHECK(x.name == "solo");
  CHECK(x.nodes.size() == 1);
  temporary_file two{two_nodes};
  CHECK(load(two.path()).nodes.size() == 2);
}

TEST_CASE("the shipped configurations can be read") {
  auto folder = fs::path(HORNBEAM_CONFIG_DIR);
  auto demo = load_cluster(folder / "demo.toml");
  CHECK(demo.name == "demo");
  REQUIRE(demo.nodes.size() == 3);
  CHECK(demo.nodes[1].python.modules
        == std::vector<std::string>{"embeddings", "jobs"});
  CHECK_FALSE(demo.nodes[0].node.insecure_loopback_without_tls);
  CHECK(load_node(folder / "node.toml").node.port == 4370);
}

TEST_CASE("settings are handed to Python as JSON with all fields") {
  temporary_file file{two_nodes};
  auto x = load_cluster(file.path()).nodes[1];
  auto json = nlohmann::json::parse(to_json(x));
  CHECK(json["node"]["name"] == "worker@127.0.0.2");
  CHECK(json["node"]["listen"] == true);
  CHECK(json["node"]["port"] == 0);
  CHECK(json["node"]["peers"][0]["name"] == "web@127.0.0.1");
  CHECK(json["node"]["peers"][0]["address"] == "127.0.0.1:4444");
  CHECK(json["node"]["tables"].empty());
  CHECK(json["node"]["plugins"].empty());
  CHECK(json["node"]["remote_debug"] == false);
  CHECK(json["node"].size() == 23);
  CHECK(json["python"]["modules"] == std::vector<std::string>{"jobs"});
  CHECK(json["python"]["task_keep_ms"] == 3600000);
  CHECK(json["python"]["task_keep_bytes"] == 268435456);
  CHECK(json["python"]["start"].empty());
  CHECK(json["python"].size() == 9);
  CHECK(json["log"]["level"].get<std::string>().empty());
}

TEST_CASE("both kinds of files say how much the nodes log") {
  temporary_file node{"[node]\nname = 'a'\n[log]\nlevel = 'debug'\n"};
  CHECK(load_node(node.path()).log_level == "debug");
  temporary_file cluster{"[nodes.a]\n[nodes.b]\n[log]\nlevel = 'error'\n"};
  for (auto& x : load_cluster(cluster.path()).nodes)
    CHECK(x.log_level == "error");
  temporary_file wrong{"[node]\nname = 'a'\n[log]\nlevel = 'loud'\n"};
  CHECK_THROWS_WITH(load_node(wrong.path()),
                    Catch::Contains(":4: log.level: must be one of \"debug\", "
                                    "\"info\", \"warning\", \"error\", not "
                                    "\"loud\""));
}

// -- errors -------------------------------------------------------------------

TEST_CASE("a missing file is named with the reason") {
  CHECK_THROWS_WITH(load_node("/nowhere/x.toml"),
                    "/nowhere/x.toml: can't be read: No such file or "
                    "directory");
}

TEST_CASE("a folder is not a configuration") {
  CHECK_THROWS_WITH(load_node("/tmp"), "/tmp: can't be read: it is a folder");
}

TEST_CASE("an empty file lacks what the command needs") {
  for (auto* text : {"", "\n", "# nothing\n"}) {
    starts(node_complaint(text), "it.toml:1: node: this table is missing");
    starts(cluster_complaint(text), "it.toml:1: nodes: there is no node");
  }
  CHECK(cluster_complaint("[cluster]\nname = \"a\"\n[[nodes]]\nname = \"b\"\n")
        == "it.toml:3: nodes: must be tables [nodes.NAME], not a list");
}

TEST_CASE("a host that can be none is named where it is given") {
  for (std::string host :
       {"not a host", "300.1.2.3", "1.2.3", "1.2.3.4.5", "7", "::1", "-x", "x-",
        "a..b", ".a", "a.", "127.0.0.1:80", "http://x", "*"}) {
    auto what = "host: must be the name of a host or its address, as "
                "127.0.0.1, not '"
                + host + "'";
    auto line = "host = \"" + host + "\"\n";
    CHECK(node_complaint("[node]\nname = \"a\"\n" + line)
          == "it.toml:3: node." + what);
    CHECK(cluster_complaint("[nodes.a]\n" + line)
          == "it.toml:2: nodes.a." + what);
    CHECK(cluster_complaint("[defaults]\n" + line + "[nodes.a]\n")
          == "it.toml:2: defaults." + what);
    if (host != "127.0.0.1:80")
      starts(node_complaint("[node]\npeers = [\"b@" + host + "\"]\n"),
             "it.toml:2: node.peers: ");
  }
  for (std::string host : {"localhost", "gpu-server", "a.b.example", "10.0.0.7",
                           "0.0.0.0", "x1", "1x"})
    CHECK(node_complaint("[node]\nname = \"a\"\nhost = \"" + host + "\"\n")
          == "no complaint");
}

TEST_CASE("a syntax error is reported with its line") {
  starts(node_complaint("[node]\nname = \"one\nport = 1\n"),
         "it.toml:2: not TOML: ");
}

TEST_CASE("a cluster's name is the same kind of word as everywhere") {
  for (auto* x : {"..", ".a", "a/b", "@tables", "a b"})
    CHECK(cluster_complaint("[cluster]\nname = '" + std::string{x}
                            + "'\n[nodes.a]\n")
            .starts_with("it.toml:2: cluster.name: a cluster's name is made "
                         "of letters"));
}

TEST_CASE("an unknown key is reported with the one that was meant") {
  CHECK(node_complaint("[node]\nname = \"one\"\nprot = 1\n")
        == "it.toml:3: node.prot: there is no such key; did you mean port?");
  CHECK(cluster_complaint("[cluster]\nheartbeat = 1\n[nodes.a]\n")
          .starts_with("it.toml:2: cluster.heartbeat: there is no such key; "
                       "did you mean heartbeat_ms?"));
}

TEST_CASE("an unknown key that resembles none lists those that there are") {
  contains(node_complaint("[node]\nname = \"one\"\ncolour = 1\n"),
           "it.toml:3: node.colour: there is no such key; known are name, "
           "listen, port");
}

TEST_CASE("an unknown table is an error") {
  starts(cluster_complaint("[cluster]\n\n[noeds.a]\n"),
         "it.toml:3: noeds: there is no such key; did you mean nodes?");
}

TEST_CASE("a value of the wrong type says which type is right") {
  CHECK(node_complaint("[node]\nname = 3\n")
        == "it.toml:2: node.name: must be a string, not an integer");
  CHECK(node_complaint("[node]\nname = \"a\"\nport = \"1\"\n")
        == "it.toml:3: node.port: must be an integer, not a string");
  CHECK(node_complaint("[node]\nlisten = 1\n")
        == "it.toml:2: node.listen: must be true or false, not an integer");
  starts(node_complaint("[node]\n[python]\npath = \"lib\"\n"),
         "it.toml:3: python.path: must be a list of strings");
  starts(node_complaint("[node]\n[python]\npath = [\n \"lib\",\n 1]\n"),
         "it.toml:5: python.path: must be a list of strings, but one item is "
         "an integer");
  starts(node_complaint("node = 1\n"), "it.toml:1: node: must be a table");
  starts(cluster_complaint("[nodes]\na = 1\n"),
         "it.toml:2: nodes.a: must be a table");
}

TEST_CASE("a number out of range says the range") {
  CHECK(node_complaint("[node]\nname = \"a\"\nport = 70000\n")
        == "it.toml:3: node.port: must be between 0 and 65535, not 70000");
  CHECK(node_complaint("[node]\nport = -1\n")
        == "it.toml:2: node.port: must be between 0 and 65535, not -1");
  CHECK(node_complaint("[node]\n[python]\ntask_keep_ms = -1\n")
        == "it.toml:3: python.task_keep_ms: must be at least 0, not -1");
}

TEST_CASE("a name that can't be a node's is an error") {
  starts(node_complaint("[node]\nname = \"a b\"\n"), "it.toml:2: node.name: ");
  starts(cluster_complaint("[nodes.\"a b\"]\n"), "it.toml:1: nodes.a b: ");
  starts(cluster_complaint("[cluster]\nname = \"../x\"\n[nodes.a]\n"),
         "it.toml:2: cluster.name: ");
  starts(node_complaint("[node]\npeers = [\"b\"]\n"),
         "it.toml:2: node.peers: a peer is given as name@host");
  starts(node_complaint("[node]\npeers = [\"b@h:0\"]\n"),
         "it.toml:2: node.peers: ");
}

TEST_CASE("two nodes of one name are an error") {
  starts(cluster_complaint("[nodes.a]\n[nodes.b]\n[nodes.a]\n"),
         "it.toml:3: not TOML: ");
  starts(cluster_complaint("[nodes.a]\n[nodes.\"a@127.0.0.1\"]\n"),
         "it.toml:2: nodes.a@127.0.0.1: has the name a@127.0.0.1, which "
         "nodes.a has already");
}

TEST_CASE("two nodes at one address are an error") {
  starts(cluster_complaint("[nodes.a]\nport = 5\n[nodes.b]\nport = 5\n"),
         "it.toml:3: nodes.b: has the address 127.0.0.1:5, which nodes.a");
  starts(cluster_complaint("[defaults]\nport = 5\n[nodes.a]\n"),
         "it.toml:2: defaults.port: can't be the same for all nodes");
}

TEST_CASE("a detection time must leave room for two heartbeats") {
  starts(node_complaint("[node]\n[cluster]\nheartbeat_ms = 3000\n"),
         "it.toml:2: cluster.detection_ms: must be at least twice");
}

TEST_CASE("without TLS only 127.0.0.1 is a host") {
  starts(node_complaint("[cluster]\ninsecure_loopback_without_tls = true\n"
                        "[node]\nhost = \"0.0.0.0\"\n"),
         "it.toml:4: node.host: must be 127.0.0.1");
}

TEST_CASE("a file of the other kind says what it is") {
  contains(node_complaint("[nodes.a]\n"), "the file describes a cluster");
  contains(cluster_complaint("[cluster]\nname = \"a\"\n"),
           "there is no node; a cluster's file has one table [nodes.NAME]");
}

TEST_CASE("tables are read with what they are") {
  temporary_file file{R"(
[node]
name = "a@127.0.0.1"
[tables.state]
engine = "lmdb"
path = "data/state.lmdb"
durable = "always"
map_bytes = 2000000
ttl_ms = 1000
[tables.cache]
kind = "ordered_set"
max_entries = 10
max_bytes = 20
home = "b@127.0.0.1"
[tables.near]
home = "b"
[tables.far]
engine = "lmdb"
path = "/" # of that node
home = "b"
)"};
  auto x = load_node(file.path());
  using namespace hornbeam::runtime;
  REQUIRE(x.node.tables.size() == 4);
  auto& state = x.node.tables[0];
  CHECK(state.name == "state");
  CHECK(state.options.engine == table_engine::lmdb);
  CHECK(state.options.path == file.folder() + "/data/state.lmdb");
  CHECK(state.options.durable == table_durability::always);
  CHECK(state.options.map_bytes == 2000000);
  CHECK(state.options.ttl_ms == 1000);
  auto& cache = x.node.tables[1].options;
  CHECK(cache.engine == table_engine::memory);
  CHECK(cache.kind == table_kind::ordered_set);
  CHECK(cache.max_entries == 10);
  CHECK(cache.max_bytes == 20);
  CHECK(cache.home == "b@127.0.0.1");
  CHECK(x.node.tables[2].options.home == "b");
  auto json = nlohmann::json::parse(to_json(x));
  CHECK(json["node"]["tables"]["state"]["engine"] == "lmdb");
  CHECK(json["node"]["tables"]["cache"]["max_bytes"] == 20);
}

TEST_CASE("all nodes of a cluster have its tables") {
  temporary_file file{R"(
[tables.shared]
engine = "lmdb"
[nodes.a]
[nodes.b]
)"};
  auto x = load_cluster(file.path());
  CHECK(x.nodes[1].node.tables.at(0).name == "shared");
}

TEST_CASE("mistakes in tables are answered with where and what") {
  auto said = [](const std::string& text) {
    return node_complaint("[node]\nname = \"a@b\"\n" + text);
  };
  starts(said("[tables]\nx = 1\n"), "it.toml:4: tables.x: must be a table");
  starts(said("[tables.x]\nengin = \"lmdb\"\n"),
         "it.toml:4: tables.x.engin: there is no such key; did you mean "
         "engine?");
  starts(said("[tables.x]\nengine = \"redis\"\n"),
         "it.toml:4: tables.x.engine: must be one of \"memory\", \"lmdb\", "
         "not \"redis\"");
  starts(said("[tables.x]\npath = \"x\"\n"),
         "it.toml:4: tables.x.path: is for tables with engine = \"lmdb\"");
  starts(said("[tables.x]\nengine = \"lmdb\"\nkind = \"bag\"\n"),
         "it.toml:5: tables.x.kind: ");
  starts(said("[tables.x]\nengine = \"lmdb\"\ndurable = \"always\"\n"),
         "it.toml:5: tables.x.durable: ");
  starts(said("[tables.x]\nhome = \"b c\"\n"),
         "it.toml:4: tables.x.home: a node's name looks like ");
  auto at = [&](const std::string& path) {
    return said("[tables.x]\nengine = \"lmdb\"\npath = \"" + path + "\"\n");
  };
  starts(at("."), "it.toml:5: tables.x.path: ");
  CHECK_THAT(at("."), Catch::EndsWith(" is a folder"));
  CHECK_THAT(at("it.toml/x"), Catch::EndsWith("it.toml is no folder"));
  CHECK_THAT(at("it.toml/y/x"), Catch::EndsWith("it.toml is no folder"));
  starts(at(std::string(251, 'x')),
         "it.toml:5: tables.x.path: has a name of more than 250 bytes");
  starts(at(std::string(256, 'x') + "/y"),
         "it.toml:5: tables.x.path: has a name of more than 255 bytes");
  std::string deep;
  while (deep.size() < 5000)
    deep += "d/";
  starts(at(deep + "x"), "it.toml:5: tables.x.path: has more than 4090 bytes");
  starts(said("[tables.x]\nttl_ms = -1\n"),
         "it.toml:4: tables.x.ttl_ms: must be at least 0");
}

TEST_CASE("a node that listens everywhere says where others reach it") {
  auto load = [](const std::string& lines) {
    return load_node(temporary_file{"[node]\n" + lines}.path()).node;
  };
  CHECK(load("name = \"a@web1\"\nhost = \"0.0.0.0\"\n").advertise.empty());
  CHECK(load("name = \"a\"\nhost = \"0.0.0.0\"\nadvertise = \"web1:4370\"\n")
          .advertise
        == "web1:4370");
  for (auto* bad : {"0.0.0.0", "web1:0", "web1:x", "we b", "[::]:80", ":80"})
    CHECK(
      node_complaint("[node]\nname = \"a\"\nadvertise = \"" + std::string{bad}
                     + "\"\n")
      == "it.toml:3: node.advertise: must be host or host:port, where others "
         "reach the node, not '"
           + std::string{bad} + "'");
}
