#include "launcher/cluster_client.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include <unistd.h>

#include "config/load.hpp"
#include "runtime/link/secret.hpp"

namespace hornbeam::launcher {

namespace {

using namespace runtime;

node_settings settings_for(const cluster_options& where,
                           const config::cluster_config& config) {
  node_settings out;
  if (!config.nodes.empty()) {
    auto& like = config.nodes.front().node;
    out.cluster = like.cluster;
    out.secret = like.secret;
    out.insecure_loopback_without_tls = like.insecure_loopback_without_tls;
  } else if (!where.cluster.empty()) {
    out.cluster = where.cluster;
  } else if (const char* name = std::getenv("HORNBEAM_CLUSTER");
             name && *name) {
    out.cluster = name;
  }
  if (!where.secret.empty())
    out.secret = where.secret;
  if (out.secret.empty() && !out.insecure_loopback_without_tls) {
    out.secret = default_secret_file();
    require_secret_path(out.secret);
  }
  // A name of its own: two visitors at once must not be taken for one.
  out.name = "visitor-" + std::to_string(::getpid()) + "@127.0.0.1";
  out.hidden = true;
  out.workers = 1;
  return out;
}

/// No file is made: no cluster would know it.
void require_secret(const std::string& path) {
  if (::access(path.c_str(), R_OK) == 0)
    return;
  if (errno != ENOENT)
    throw std::runtime_error("can't read the secret file " + path + ": "
                             + std::strerror(errno));
  throw std::runtime_error("there is no secret file " + path
                           + "; give the cluster's one with --secret or "
                             "--config");
}

} // namespace

cluster_client::cluster_client(const cluster_options& where) {
  if (!where.config.empty())
    config_ = config::load(where.config);
  settings_ = settings_for(where, config_);
  require_cluster_name(settings_.cluster);
}

std::string cluster_client::full_name(const std::string& name) const {
  if (!config_.nodes.empty() && name.find('@') == std::string::npos)
    return first_numbered(config::find_node(config_, name).node.name);
  return full_node_name(name, "x@127.0.0.1");
}

void cluster_client::call(const std::string& name, const std::string& module,
                          const std::string& function, term::sequence args,
                          deadline until, responder reply) {
  if (!node_) {
    if (!settings_.insecure_loopback_without_tls)
      require_secret(settings_.secret);
    node_ = node::start(settings_);
  }
  // An address behind the name, or in the configuration, goes before what
  // the host's registry knows.
  auto target = name;
  for (auto& x : config_.nodes)
    if (first_numbered(x.node.name) == name && x.node.port != 0)
      target += ":" + std::to_string(x.node.port);
  auto bare = name.substr(0, name.find(':'));
  auto op = make_op("call", term::string(module), term::string(function),
                    term::list(std::move(args)));
  auto shared = std::make_shared<responder>(std::move(reply));
  node_->connect(
    target, until, responder{[=, self = node_.get()](const outcome& x) {
      if (!x)
        (*shared)(x);
      else
        self->request(bare, "rpc", op, until, 0, std::move(*shared));
    }});
}

std::string describe(const failure& x) {
  std::string out;
  if (!x.traceback.empty()) {
    out = x.traceback;
    if (out.back() != '\n')
      out += '\n';
  }
  if (!x.type.empty())
    out += x.type + ": ";
  return out + x.message;
}

} // namespace hornbeam::launcher
