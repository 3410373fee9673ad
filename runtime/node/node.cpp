#include "runtime/node/node.hpp"

#include <filesystem>
#include <iomanip>
#include <random>
#include <sstream>
#include <thread>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/log.hpp"
#include "runtime/base/ranked_mutex.hpp"
#include "runtime/caf/actor_system_thread.hpp"
#include "runtime/link/node_core.hpp"
#include "runtime/link/secret.hpp"
#include "runtime/node/node_table_host.hpp"
#include "runtime/otp/supervisor.hpp"
#include "runtime/term/wire.hpp"

namespace hornbeam::runtime {

namespace {

/// Around calls into CAF by threads that are not CAF's: spawning and
/// publishing leave the thread with a share in the system's logger, and CAF
/// ends only when nobody else has one.
struct logger_share {
  ~logger_share() { caf::logger::set_current_actor_system(nullptr); }
};

/// The TCP sockets of this process that are bound to a port.
std::vector<int> sockets_of_port(int port) {
  std::vector<int> out;
  std::error_code ignored;
  for (auto& entry :
       std::filesystem::directory_iterator("/proc/self/fd", ignored)) {
    auto fd = std::atoi(entry.path().filename().c_str());
    sockaddr_storage at{};
    socklen_t size = sizeof at;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) != 0)
      continue;
    auto bound = at.ss_family == AF_INET
                   ? reinterpret_cast<sockaddr_in&>(at).sin_port
                 : at.ss_family == AF_INET6
                   ? reinterpret_cast<sockaddr_in6&>(at).sin6_port
                   : in_port_t{0};
    int type = 0;
    socklen_t length = sizeof type;
    ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
    if (bound != 0 && ntohs(bound) == port && type == SOCK_STREAM)
      out.push_back(fd);
  }
  return out;
}

std::string hex8() {
  std::random_device random;
  std::ostringstream out;
  out << std::hex << std::setw(8) << std::setfill('0') << random();
  return out.str();
}

bool valid_name(const std::string& x) {
  auto at = x.find('@');
  if (at == std::string::npos || at == 0 || at + 1 == x.size()
      || x.size() > 255)
    return false;
  for (std::size_t i = 0; i < x.size(); ++i) {
    auto c = static_cast<unsigned char>(x[i]);
    bool word = std::isalnum(c) || c == '_' || c == '-' || c == '.';
    if (!word && i != at)
      return false;
  }
  return true;
}

} // namespace

std::string full_node_name(const std::string& name, const std::string& self) {
  auto full = name;
  if (full.find('@') == std::string::npos)
    full += self.substr(self.find('@'));
  auto bare = full.substr(0, full.rfind(':'));
  if (full.rfind(':') != std::string::npos && full.rfind(':') > full.find('@')
        ? !valid_name(bare)
        : !valid_name(full))
    throw bad_term("not the name of a node: '" + name
                   + "'; names look like worker1@127.0.0.1");
  return full;
}

namespace {

/// What others cast to the processes of this node.
class process_service : public service {
public:
  explicit process_service(processes& x) : processes_(x) {}
  void handle(call& c) override { processes_.handle(c.from, operation{c.op}); }
  void peer(const peer_event& e) override { processes_.peer(e); }

private:
  processes& processes_;
};

class group_service : public service {
public:
  explicit group_service(std::shared_ptr<groups> x) : groups_(std::move(x)) {}
  void handle(call& c) override { groups_->handle(c.from, operation{c.op}); }
  void peer(const peer_event& e) override { groups_->peer(e); }

private:
  std::shared_ptr<groups> groups_;
};

/// Services may die so often within 5 seconds before all are started anew.
constexpr std::int64_t service_restarts = 100;

/// The actor system that connects to others, made when first needed. The actor
/// that does so may outlive a node that could not wait for it.
struct dialing {
  ranked_mutex<lock_rank::dialing> mutex;
  std::unique_ptr<actor_system_thread> world;
  bool ended = false;
};

} // namespace

struct node::impl {
  explicit impl(node_settings s)
    : core(std::make_shared<node_core>(std::move(s))) {}

  child_spec child_of(service_box_ptr box) {
    child_spec x;
    x.id = term::string(box->name());
    x.start = [box = std::move(box)](runtime::self me,
                                     term::sequence) -> task<term> {
      auto actor = box->start(me.owner().system());
      co_return term::tuple(
        {term::atom("ok"),
         me.spawn_link(service_child, std::move(actor), me.pid())});
    };
    return x;
  }

  /// Starts the supervisor of the services, and again should it ever end: the
  /// node lives as long as its program wants it to.
  void start_root() {
    if (core->stopping)
      return;
    std::vector<child_spec> children;
    {
      shared_lock_scope lock{core->mutex};
      for (auto& [name, box] : core->services)
        children.push_back(child_of(box));
    }
    supervisor_flags flags;
    flags.intensity = service_restarts;
    auto pid = spawn_supervisor(*procs, flags, std::move(children));
    {
      lock_scope guard{root_mutex};
      root = pid;
    }
    procs->on_exit(pid, [this](const term& reason) {
      if (core->stopping)
        return;
      log::say(log::level::error, "node", core->self()->name(),
               "the supervisor of the services has ended with "
                 + to_string(reason) + "; it starts again in a second");
      auto& clock = procs->clock();
      clock.add(procs->make_pid().serial, clock.in(1000),
                [this] { start_root(); });
    });
  }

  term current_root() {
    lock_scope guard{root_mutex};
    return root;
  }

  core_ptr core;
  std::shared_ptr<node_table_host> host;
  runtime::tables tables;
  std::unique_ptr<actor_system_thread> world;
  std::unique_ptr<runtime::processes> procs;
  std::shared_ptr<runtime::groups> pg;
  ranked_mutex<lock_rank::root> root_mutex;
  term root;
  std::shared_ptr<dialing> dialer = std::make_shared<dialing>();
  ranked_mutex<lock_rank::listening> listen_mutex;
  std::atomic<bool> stopped{false};
  int port_at_fork = 0; ///< of the listener
};

node::node(std::unique_ptr<impl> x) : impl_(std::move(x)) {}

std::shared_ptr<node> node::start(node_settings s) {
  require_cluster_name(s.cluster);
  if (!s.name.empty() && !valid_name(s.name))
    throw std::runtime_error("not the name of a node: '" + s.name
                             + "'; names look like worker1@127.0.0.1");
  if (s.secret.empty())
    s.secret = default_secret_file();
  for (auto& p : s.peers)
    p.name = full_node_name(p.name,
                            s.name.empty() ? "hornbeam@localhost" : s.name);
  std::shared_ptr<node> self{new node(std::make_unique<impl>(std::move(s)))};
  auto& x = *self->impl_;
  x.world = std::make_unique<actor_system_thread>(x.core->settings,
                                                  x.core->settings.workers);
  x.core->dialer = [d = x.dialer,
                    settings = x.core->settings]() -> caf::actor_system& {
    lock_scope guard{d->mutex};
    if (d->ended)
      throw failed{node_ended()};
    if (!d->world)
      d->world = std::make_unique<actor_system_thread>(settings, 1);
    return d->world->system();
  };
  logger_share dropped_at_end;
  x.procs = std::make_unique<runtime::processes>(self->system(), *self);
  x.host = std::make_shared<node_table_host>(*x.procs);
  x.tables.attach(x.host);
  x.procs->on_owner_end([&x](const term& pid) { x.tables.release(pid); });
  x.pg = std::make_shared<runtime::groups>(*x.procs);
  x.core->inline_services[processes::service_name]
    = std::make_shared<process_service>(*x.procs);
  x.core->inline_services[groups::service_name]
    = std::make_shared<group_service>(x.pg);
  x.core->peering = spawn_peering(self->system(), x.core);
  x.start_root();
  return self;
}

void node::on_unknown_service(std::function<bool(const std::string&)> make) {
  impl_->core->make_service = std::move(make);
}

void node::on_call(std::function<bool(const std::string&, call&)> f) {
  impl_->core->answer_inline = std::move(f);
}

void node::start_networking() {
  auto& core = impl_->core;
  if (core->settings.listen)
    listen();
  if (core->settings.peers.empty())
    return;
  if (!core->settings.insecure_loopback_without_tls)
    ensure_secret(core->settings.secret);
  core->tell_peering(dial_atom::value);
}

node::~node() {
  stop();
}

const node_settings& node::settings() const noexcept {
  return impl_->core->settings;
}

origin_ptr node::self() const {
  return impl_->core->self();
}

std::string node::name() const {
  return self()->name();
}

std::string node::address() const {
  shared_lock_scope lock{impl_->core->mutex};
  return impl_->core->address;
}

caf::actor_system& node::system() {
  return impl_->world->system();
}

runtime::tables& node::tables() {
  return impl_->tables;
}

runtime::processes& node::processes() noexcept {
  return *impl_->procs;
}

runtime::groups& node::groups() noexcept {
  return *impl_->pg;
}

pid node::make_pid() {
  return impl_->procs->make_pid();
}

reference node::make_ref() {
  return impl_->procs->make_ref().as_reference();
}

void node::add_service(const std::string& name,
                       std::function<std::unique_ptr<service>()> make) {
  auto box = std::make_shared<service_box>(name, std::move(make));
  impl_->core->add_service(box);
  start_child(*impl_->procs, impl_->current_root(), impl_->child_of(box));
}

caf::actor node::service_actor(const std::string& name) const {
  shared_lock_scope lock{impl_->core->mutex};
  auto i = impl_->core->services.find(name);
  return i != impl_->core->services.end() ? i->second->current() : nullptr;
}

std::vector<std::string> node::peers() const {
  std::vector<std::string> out;
  for (auto& p : impl_->core->all_peers())
    if (!p.hidden)
      out.push_back(p.link->peer());
  return out;
}

bool node::connected(const std::string& name) const {
  auto link = impl_->core->find_link(name);
  return link && link->open();
}

std::size_t node::open_requests() const {
  std::size_t n = 0;
  for (auto& p : impl_->core->all_peers())
    n += p.link->pending();
  return n;
}

std::uint64_t node::lost_casts() const noexcept {
  return impl_->core->lost_casts;
}

std::shared_ptr<wait_helper> node::helper_for(const std::string& from) const {
  auto link = impl_->core->find_link(from);
  return link ? link->answers() : nullptr;
}

bool node::cast(const std::string& to, const std::string& service,
                const term& op) {
  auto& core = impl_->core;
  if (to == name()) {
    auto c = std::make_shared<call>();
    c->op = op;
    core->dispatch(service, std::move(c));
    return true;
  }
  auto body = encode(op);
  if (auto link = core->find_link(to)) {
    bool taken = link->cast(service, body);
    if (!taken)
      core->lose_casts(*link);
    return taken;
  }
  bool taken = false;
  if (core->cast_or_wait(to, service, std::move(body), taken))
    connect(to, deadline::in(core->settings.connect_ms),
            responder{[core, to](const outcome& x) {
              // By another thread: this one may hold locks of a service.
              if (!x || !core->find_link(to))
                core->tell_peering(failed_atom::value, to);
            }});
  return taken;
}

void node::request(const std::string& to, const std::string& service,
                   const term& op, deadline until, std::uint32_t depth,
                   responder reply) {
  auto& core = impl_->core;
  if (to == name()) {
    auto c = std::make_shared<call>();
    c->op = op;
    c->until = until;
    c->depth = depth;
    c->reply = std::move(reply);
    core->dispatch(service, std::move(c));
    return;
  }
  auto body = encode(op);
  if (auto link = core->find_link(to)) {
    link->request(service, body, until, depth, std::move(reply));
    return;
  }
  auto patience = until.sooner(deadline::in(core->settings.connect_ms));
  auto shared = std::make_shared<responder>(std::move(reply));
  connect(to, patience, responder{[=](const outcome& x) {
            auto link = x ? core->find_link(to) : nullptr;
            if (link) {
              link->request(service, body, until, depth, std::move(*shared));
              return;
            }
            auto why = x ? node_down(to) : x.error();
            why.unsent = true;
            (*shared)(std::move(why));
          }});
}

void node::connect(const std::string& target, deadline until, responder reply) {
  auto& core = impl_->core;
  if (core->stopping) {
    reply(node_ended());
    return;
  }
  try {
    if (!core->settings.hidden)
      listen(); // whoever joins can be joined, and needs a name of its own
    else if (!core->settings.insecure_loopback_without_tls)
      ensure_secret(core->settings.secret);
  } catch (const std::exception& e) {
    reply(failure{error_code::refused, e.what()});
    return;
  }
  core->tell_peering(std::make_shared<connect_request>(
    connect_request{target, until, std::move(reply)}));
}

bool node::disconnect(const std::string& name) {
  auto& core = impl_->core;
  auto link = core->find_link(name);
  core->tell_peering(shut_atom::value, name);
  if (!link)
    return false;
  link->bye();
  return true;
}

void node::listen() {
  auto& x = *impl_;
  auto& s = x.core->settings;
  lock_scope guard{x.listen_mutex};
  if (x.core->stopping)
    throw failed{node_ended()};
  if (!address().empty())
    return;
  std::string host = s.host;
  if (s.name.empty()) {
    x.core->self()->rename("hornbeam-" + hex8() + "@" + host);
  }
  if (s.insecure_loopback_without_tls) {
    if (host != "127.0.0.1")
      throw std::runtime_error("without TLS a node listens on 127.0.0.1 only, "
                               "not on "
                               + host);
  } else {
    ensure_secret(s.secret);
  }
  auto& registry = x.core->registry;
  registry.claim(name()); // before a port that both may want
  logger_share dropped_at_end;
  auto bound = s.insecure_loopback_without_tls
                 ? system().middleman().publish(x.core->peering, s.port,
                                                host.c_str(), true)
                 : caf::openssl::publish(x.core->peering, s.port, host.c_str(),
                                         true);
  if (!bound) {
    registry.withdraw();
    throw std::runtime_error("can't listen on " + host + ":"
                             + std::to_string(s.port) + ": "
                             + system().render(bound.error()));
  }
  auto where = host + ":" + std::to_string(*bound);
  {
    std::unique_lock lock{x.core->mutex};
    x.core->address = where;
  }
  registry.publish(where);
}

void node::join_host() {
  listen();
  for (auto& other : impl_->core->registry.all())
    if (other.name != name())
      connect(other.name, deadline::in(settings().connect_ms), responder{});
}

void node::stop() {
  auto& x = *impl_;
  if (x.stopped.exchange(true) || x.world == nullptr)
    return;
  auto& core = x.core;
  auto until = clock::now()
               + std::chrono::milliseconds(core->settings.flush_ms);
  auto nap = [] { std::this_thread::sleep_for(std::chrono::milliseconds(1)); };
  while (core->casts_connecting > 0 && clock::now() < until)
    nap();
  core->stopping = true;
  auto peers = core->all_peers();
  for (auto& p : peers)
    p.link->bye(); // behind all casts; answered when those have arrived
  auto gone = [&] { return core->all_peers().empty(); };
  while (!peers.empty() && !gone() && clock::now() < until)
    nap();
  auto why = node_ended();
  for (auto& p : core->all_peers())
    core->drop_peer(p.link, why);
  // The supervisor ends the actors of the services.
  auto root = x.current_root();
  x.procs->exit(root, term::atom("shutdown"));
  until = clock::now() + std::chrono::milliseconds(core->settings.flush_ms);
  while (x.procs->alive(root) && clock::now() < until)
    nap();
  std::map<std::string, service_box_ptr> services;
  caf::actor peering;
  {
    std::unique_lock lock{core->mutex};
    services.swap(core->services);
    std::swap(peering, core->peering);
  }
  for (auto& [name, s] : services)
    s->close();
  x.procs->stop(std::chrono::milliseconds(core->settings.flush_ms));
  x.host->close();
  bool stuck = x.procs->count().second > 0;
  // First what uses the dialer, then the dialer.
  auto end_connections = [peering = std::move(peering), core,
                          &sys = x.world->system()]() mutable {
    // CAF's own end hangs or crashes while published actors live, or links.
    caf::scoped_actor self{sys};
    auto end = [&](const caf::actor& a) {
      caf::anon_send_exit(a, caf::exit_reason::kill);
      self->wait_for(a);
    };
    end(peering); // which makes links
    peering = nullptr;
    for (auto& link : core->all_brokers())
      end(link);
  };
  // Code that never suspends may hold a worker, and CAF with it, for ever.
  auto patience = std::chrono::milliseconds(stuck ? 300 : 3000);
  stuck |= !x.world->end(patience, std::move(end_connections));
  if (stuck) // code that never suspends still refers to them
    static_cast<void>(x.procs.release());
  {
    lock_scope guard{x.listen_mutex};
    core->registry.withdraw(); // another node may have the name now
  }
  lock_scope guard{x.dialer->mutex};
  x.dialer->ended = true;
  if (x.dialer->world)
    x.dialer->world->end(patience, {});
}

void node::before_fork() {
  auto& x = *impl_;
  x.listen_mutex.lock();
  x.dialer->mutex.lock(); // no new connection is begun from here on
  auto until = clock::now() + std::chrono::milliseconds(200);
  while (x.core->dials_in_flight > 0 && clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  auto where = address();
  x.port_at_fork
    = where.empty() ? 0 : std::stoi(where.substr(where.rfind(':') + 1));
}

void node::after_fork_in_parent() {
  impl_->dialer->mutex.unlock();
  impl_->listen_mutex.unlock();
}

void node::abandon_after_fork() {
  auto& x = *impl_;
  x.stopped = true;
  x.core->registry.disown();
  x.world->close_descriptors_after_fork();
  if (x.dialer->world)
    x.dialer->world->close_descriptors_after_fork();
  // What CAF had accepted and did not watch yet.
  if (x.port_at_fork != 0)
    for (auto fd : sockets_of_port(x.port_at_fork))
      ::close(fd);
}

} // namespace hornbeam::runtime
