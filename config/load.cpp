#include "config/load.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "config/table_reader.hpp"
#include "runtime/settings/home_folder.hpp"

namespace hornbeam::config {

namespace {

namespace fs = std::filesystem;

/// A parsed file and where it was read from.
struct document {
  std::string file;
  fs::path folder;
  toml::table root;

  std::string resolve(const std::string& x) const {
    if (x.starts_with("~/"))
      if (auto home = runtime::home_folder(); !home.empty())
        return (fs::path{home} / x.substr(2)).lexically_normal().string();
    return (folder / x).lexically_normal().string();
  }
  /// The table called `name`, or an empty one that stands at the file's top.
  table_reader table(const std::string& name) const {
    static const toml::table none;
    auto* x = root.get(name);
    if (x && !x->is_table())
      fail_at(file, *x, name, "must be a table, not " + kind_of(*x));
    return {x ? *x->as_table() : none, name, file};
  }
  /// Refuses tables of other names.
  void only(std::initializer_list<const char*> tables) const {
    table_reader top{root, "", file};
    for (auto* x : tables)
      top.find(x);
    top.finish();
  }
};

document open(const std::string& path) {
  document out;
  out.file = path;
  std::ifstream in{path};
  std::ostringstream text;
  bool empty = in && in.peek() == std::ifstream::traits_type::eof() && in.eof();
  if (!empty && (!in || !(text << in.rdbuf())))
    throw config_error(
      path + ": can't be read: "
      + (fs::is_directory(path) ? "it is a folder" : std::strerror(errno)));
  try {
    out.root = toml::parse(text.str(), path);
  } catch (const toml::parse_error& e) {
    throw config_error(path + ":" + std::to_string(e.source().begin.line)
                       + ": not TOML: " + std::string{e.description()});
  }
  out.folder = fs::absolute(path).parent_path();
  return out;
}

/// Reads one of the numbers that each node has.
void read_number(table_reader& t, const char* name,
                 runtime::node_settings& out) {
  runtime::each_node_number([&](auto option) {
    if (std::string_view{option.name} == name)
      t.read(name, out.*option.member, option.least, option.most);
  });
}

constexpr const char* words
  = "letters, digits, '_', '-' and '.', at most 100 of them";

// -- what the tables hold ----------------------------------------------------

/// `[cluster]`: what all its nodes must agree on.
void read_cluster(table_reader& t, const document& doc,
                  runtime::node_settings& out) {
  t.read("name", out.cluster);
  try {
    runtime::require_cluster_name(out.cluster);
  } catch (const std::runtime_error& e) {
    t.fail("name", e.what());
  }
  t.read("secret", out.secret);
  if (!out.secret.empty())
    out.secret = doc.resolve(out.secret);
  t.read("insecure_loopback_without_tls", out.insecure_loopback_without_tls);
  t.read("remote_debug", out.remote_debug);
  read_number(t, "heartbeat_ms", out);
  read_number(t, "detection_ms", out);
  if (out.detection_ms < 2 * out.heartbeat_ms)
    t.fail("detection_ms",
           "must be at least twice heartbeat_ms, or a healthy node is taken "
           "for dead: "
             + std::to_string(out.detection_ms) + " with "
             + std::to_string(out.heartbeat_ms));
  for (auto* name : {"connect_ms", "flush_ms", "handshake_ms", "forget_ms",
                     "link_buffer_bytes"})
    read_number(t, name, out);
}

/// Keys of one node's engine that may also be defaults for all.
void read_engine(table_reader& t, runtime::node_settings& out) {
  t.read("host", out.host);
  // Names of nodes end with it.
  if (!runtime::is_host(out.host) || out.host.find(':') != std::string::npos)
    t.fail("host", "must be the name of a host or its address, as 127.0.0.1, "
                   "not '"
                     + out.host + "'");
  t.read("advertise", out.advertise);
  if (!out.advertise.empty() && !runtime::is_reachable(out.advertise))
    t.fail("advertise", "must be host or host:port, where others reach the "
                        "node, not '"
                          + out.advertise + "'");
  if (out.insecure_loopback_without_tls && !out.advertise.empty())
    t.fail("advertise", "has no use as long as [cluster] has "
                        "insecure_loopback_without_tls");
  if (out.insecure_loopback_without_tls && out.host != "127.0.0.1")
    t.fail("host", "must be 127.0.0.1 as long as [cluster] has "
                   "insecure_loopback_without_tls, not "
                     + out.host);
  read_number(t, "workers", out);
  t.read("serve", out.serve);
}

void read_python(table_reader& t, const document& doc, python_settings& out) {
  t.read("path", out.path);
  for (auto& x : out.path)
    x = doc.resolve(x); // leaves what is resolved already as it is
  t.read("modules", out.modules);
  t.read("exports", out.exports);
  t.read("start", out.start);
  for (auto& x : out.start)
    if (auto at = x.find(':'); at == 0 || at == x.npos || at + 1 == x.size())
      t.fail("start", "a tree is given as module:name, unlike '" + x + "'");
  t.read("pool", out.pool, 0, 4096);
  t.read("call_timeout_ms", out.call_timeout_ms, 0);
  t.read("task_keep_ms", out.task_keep_ms, 0);
  t.read("task_keep_count", out.task_keep_count, 0);
  t.read("task_keep_bytes", out.task_keep_bytes, 0);
}

void read_plugins(table_reader& t, const document& doc,
                  std::vector<std::string>& out) {
  t.read("plugins", out);
  for (auto& x : out)
    x = doc.resolve(x); // leaves what is resolved already as it is
}

void read_peers(table_reader& t, runtime::node_settings& out) {
  std::vector<std::string> peers;
  t.read("peers", peers);
  for (auto& x : peers) {
    auto peer = runtime::split_target(x);
    bool good = runtime::is_full_name(peer.name)
                && (peer.address.empty()
                    || runtime::parse_address(peer.address));
    if (!good)
      t.fail("peers", "a peer is given as name@host or name@host:port, "
                      "unlike '"
                        + x + "'");
    out.peers.push_back(std::move(peer));
  }
}

/// toml++ sorts by name; people expect the order that they wrote.
std::vector<std::pair<std::string, const toml::node*>> in_file_order(
  const toml::table& t) {
  std::vector<std::pair<std::string, const toml::node*>> out;
  for (auto&& [key, value] : t)
    out.emplace_back(key.str(), &value);
  std::stable_sort(out.begin(), out.end(), [](auto& a, auto& b) {
    return a.second->source().begin.line < b.second->source().begin.line;
  });
  return out;
}

template <class Option, class T>
void read_option(table_reader& t, const Option& option, T& out) {
  if constexpr (std::is_enum_v<T>)
    t.read_word(option.name, out);
  else if constexpr (std::is_integral_v<T>)
    t.read(option.name, out, option.least, option.most);
  else
    t.read(option.name, out);
}

/// `[tables.NAME]`: what is not as the defaults of one table are.
runtime::table_setting read_table(const document& doc, const std::string& name,
                                  const toml::node& value) {
  using namespace runtime;
  auto where = "tables." + name;
  auto* table = value.as_table();
  if (!table)
    fail_at(doc.file, value, where, "must be a table, not " + kind_of(value));
  if (name.empty())
    fail_at(doc.file, value, where, "a table needs a name");
  table_reader t{*table, where, doc.file};
  table_setting out{name, {}};
  auto& x = out.options;
  each_table_option([&](auto option) {
    if (option.use == table_option_use::owned)
      return;
    bool file = x.engine == table_engine::lmdb; // which is read first
    if (option.use == table_option_use::lmdb && !file && t.has(option.name))
      t.fail(option.name, needs_lmdb); // also what is as it would be
    read_option(t, option, x.*option.member);
  });
  if (!x.home.empty() && !is_full_name(x.home) && !is_word(x.home))
    t.fail("home", "a node's name looks like worker1@127.0.0.1, unlike '"
                     + x.home + "'");
  if (auto no = mistake_in(x))
    t.fail(no->option, no->why);
  if (!x.path.empty())
    x.path = doc.resolve(x.path);
  if (auto no = mistake_in_path(x, false))
    t.fail("path", *no);
  t.finish();
  return out;
}

void read_tables(const document& doc, runtime::node_settings& out) {
  auto* tables = doc.root.get("tables");
  if (!tables)
    return;
  if (!tables->is_table())
    fail_at(doc.file, *tables, "tables",
            "must be tables [tables.NAME], not " + kind_of(*tables));
  for (auto& [name, value] : in_file_order(*tables->as_table()))
    out.tables.push_back(read_table(doc, name, *value));
}

/// How much is logged, by the words of a configuration.
enum class log_level { debug, info, warning, error };

std::array<log_level, 4> values_of(log_level) {
  using enum log_level;
  return {debug, info, warning, error};
}

const char* name_of(log_level x) {
  constexpr const char* names[] = {"debug", "info", "warning", "error"};
  return names[static_cast<int>(x)];
}

/// `[log]`: what the nodes of a file say.
void read_log(const document& doc, std::string& level) {
  auto t = doc.table("log");
  if (auto x = log_level::warning; t.read_word("level", x))
    level = name_of(x);
  t.finish();
}

// -- files -------------------------------------------------------------------

node_config read_node(const document& doc) {
  node_config out;
  if (!doc.root.contains("node"))
    throw config_error(
      doc.file + ":1: node: this table is missing"
      + (doc.root.contains("nodes")
           ? "; the file describes a cluster: say which node is meant, or "
             "start all of them with hornbeam up"
           : "; a node's file has [node] with at least name = \"...\""));
  doc.only({"node", "cluster", "log", "python", "tables"});
  auto cluster = doc.table("cluster");
  read_cluster(cluster, doc, out.node);
  cluster.finish();

  auto node = doc.table("node");
  out.node.listen = true;
  node.read("name", out.node.name);
  node.read("listen", out.node.listen);
  read_number(node, "port", out.node);
  read_engine(node, out.node);
  read_plugins(node, doc, out.plugins);
  auto& name = out.node.name;
  name = runtime::with_host(name, out.node.host);
  if (!name.empty() && !runtime::is_full_name(runtime::first_numbered(name)))
    node.fail("name", "a node's name looks like worker1@127.0.0.1, unlike '"
                        + out.node.name + "'");
  read_peers(node, out.node);
  node.finish();

  auto python = doc.table("python");
  read_python(python, doc, out.python);
  python.finish();
  read_log(doc, out.log_level);
  read_tables(doc, out.node);
  return out;
}

/// `[nodes.KEY]` on top of what all nodes have.
node_config read_member(const document& doc, const std::string& key,
                        const toml::node& value, node_config out) {
  auto where = "nodes." + key;
  auto* table = value.as_table();
  if (!table)
    fail_at(doc.file, value, where, "must be a table, not " + kind_of(value));
  table_reader t{*table, where, doc.file};
  read_engine(t, out.node);
  read_plugins(t, doc, out.plugins);
  read_number(t, "port", out.node);
  read_python(t, doc, out.python);
  t.finish();
  out.node.listen = true;
  out.node.name = runtime::is_word(key) ? key + "@" + out.node.host : key;
  if (!runtime::is_full_name(out.node.name))
    fail_at(doc.file, value, where,
            "a node's name is made of " + std::string{words});
  return out;
}

void introduce(std::vector<node_config>& nodes) {
  for (auto& x : nodes)
    for (auto& other : nodes) {
      if (&x == &other)
        continue;
      auto& n = other.node;
      // Without a port the registry of this host knows the address.
      auto address = runtime::announced_address(n, n.name, n.port);
      x.node.peers.push_back({n.name, n.port == 0 ? "" : to_string(address)});
    }
}

cluster_config read_cluster_file(const document& doc) {
  cluster_config out;
  node_config common;
  doc.only({"cluster", "defaults", "log", "nodes", "tables"});
  auto cluster = doc.table("cluster");
  read_cluster(cluster, doc, common.node);
  cluster.read("restart_intensity", out.restart.intensity, 0, 1000000);
  cluster.read("restart_period_ms", out.restart.period_ms, 1);
  cluster.finish();
  out.name = common.node.cluster;

  auto defaults = doc.table("defaults");
  read_engine(defaults, common.node);
  read_plugins(defaults, doc, common.plugins);
  read_python(defaults, doc, common.python);
  if (defaults.has("advertise"))
    defaults.fail("advertise", "can't be the same for all nodes; set it in "
                               "[nodes.NAME]");
  if (defaults.has("port"))
    defaults.fail("port", "can't be the same for all nodes; set it in "
                          "[nodes.NAME], or leave it out for a free one");
  defaults.finish();
  read_log(doc, common.log_level);
  read_tables(doc, common.node);

  auto* given = doc.root.get("nodes");
  if (given && !given->is_table())
    fail_at(doc.file, *given, "nodes",
            "must be tables [nodes.NAME], not " + kind_of(*given));
  auto* nodes = given ? given->as_table() : nullptr;
  if (!nodes || nodes->empty())
    throw config_error(doc.file
                       + ":1: nodes: there is no node; a cluster's file has "
                         "one table [nodes.NAME] for each");
  std::map<std::string, std::string> taken; // names and addresses
  for (auto& [name, node] : in_file_order(*nodes)) {
    auto& value = *node;
    auto x = read_member(doc, name, value, common);
    std::vector<std::string> claims{"the name " + x.node.name};
    if (x.node.port != 0)
      claims.push_back("the address " + x.node.host + ":"
                       + std::to_string(x.node.port));
    for (auto& claim : claims)
      if (auto [i, added] = taken.emplace(claim, name); !added)
        fail_at(doc.file, value, "nodes." + name,
                "has " + claim + ", which nodes." + i->second
                  + " has already; each node needs its own");
    out.nodes.push_back(std::move(x));
  }
  introduce(out.nodes);
  return out;
}

} // namespace

node_config load_node(const std::string& path) {
  return read_node(open(path));
}

cluster_config load_cluster(const std::string& path) {
  return read_cluster_file(open(path));
}

cluster_config load(const std::string& path) {
  auto doc = open(path);
  if (!doc.root.contains("node"))
    return read_cluster_file(doc);
  auto x = read_node(doc);
  return {x.node.cluster, {x}, {}};
}

namespace {

/// Whether `name` is `numbered` with some number in place of its `#`.
bool is_one_of(std::string numbered, const std::string& name) {
  auto mark = numbered.find('#');
  if (mark >= name.size())
    return false;
  auto end = std::min(name.find_first_not_of("0123456789", mark), name.size());
  auto number = name.substr(mark, end - mark);
  return !number.empty() && numbered.replace(mark, 1, number) == name;
}

} // namespace

node_config find_node(const cluster_config& cluster, const std::string& name) {
  std::string known;
  for (auto x : cluster.nodes) {
    auto full
      = runtime::with_host(name, x.node.name.substr(x.node.name.find('@') + 1));
    if (is_one_of(x.node.name, full))
      x.node.name = full;
    if (x.node.name == full)
      return x;
    known += (known.empty() ? "" : ", ") + x.node.name;
  }
  throw config_error("there is no node '" + name + "' in the cluster "
                     + cluster.name + "; it has " + known);
}

} // namespace hornbeam::config
