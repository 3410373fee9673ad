#include "runtime/node/node.hpp"

#include <iomanip>
#include <random>
#include <sstream>
#include <thread>

#include "runtime/base/host_name.hpp"
#include "runtime/base/log.hpp"
#include "runtime/base/ranked_mutex.hpp"
#include "runtime/caf/actor_system_thread.hpp"
#include "runtime/link/node_core.hpp"
#include "runtime/link/secret.hpp"
#include "runtime/link/session.hpp"
#include "runtime/net/listener.hpp"
#include "runtime/node/node_table_host.hpp"
#include "runtime/otp/supervisor.hpp"
#include "runtime/term/wire.hpp"

namespace hornbeam::runtime {

namespace {

/// For a node that has no name of its own.
std::string random_name(const std::string& host) {
  std::random_device random;
  std::ostringstream out;
  out << "hornbeam-" << std::hex << std::setw(8) << std::setfill('0')
      << random() << '@' << host;
  return out.str();
}

/// The host in the name of such a node, once it has one.
std::string host_of_unnamed(const node_settings& s) {
  bool usable = is_node_name("x@" + s.host) && !is_any_address(s.host);
  return usable ? s.host : host_name();
}

} // namespace

std::string full_node_name(const std::string& name, const std::string& self) {
  auto full = name;
  if (full.find('@') == std::string::npos)
    full += self.substr(self.find('@'));
  if (!is_node_name(split_target(full).name))
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

/// Sends what another node has cast to a process of this one, if `op` is that:
/// most casts are, and the operation around the message costs more than the
/// message does.
bool take_message(processes& to, std::string_view op) {
  // What comes before the process: all but the two values, of a byte each.
  static const auto front = [] {
    auto x = encode(make_op("send", term{}, term{}));
    x.resize(x.size() - 2);
    return x;
  }();
  if (!op.starts_with(front))
    return false;
  wire_reader in{op.substr(front.size())};
  term process;
  in >> process;
  if (!process.is(term::kind::pid))
    return false;
  term message;
  in >> message;
  in.finish();
  to.take_message(process, std::move(message));
  return true;
}

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

/// A host runs no more processes of one configuration.
constexpr unsigned most_numbered = 10'000;

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

  /// Of those that have one name with a number each, this node is the first
  /// that no process of this host is.
  void take_number() {
    for (unsigned n = 1; n <= most_numbered; ++n)
      if (auto name = with_number(core->settings.name, n);
          core->registry.try_claim(name)) {
        core->self()->rename(name);
        return;
      }
    throw std::runtime_error("all names up to "
                             + with_number(core->settings.name, most_numbered)
                             + " are taken on this host");
  }

  void end_join_in_time() {
    auto& clock = procs->clock();
    clock.add(procs->make_pid().serial, clock.in(core->settings.join_ms),
              [core = core] { core->joined(); });
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
  ranked_mutex<lock_rank::listening> listen_mutex;
  std::shared_ptr<runtime::listener> listener; ///< guarded by it
  std::atomic<bool> stopped{false};
};

node::node(std::unique_ptr<impl> x) : impl_(std::move(x)) {}

std::shared_ptr<node> node::start(node_settings s) {
  require_settings(s);
  if (s.secret.empty())
    s.secret = default_secret_file();
  for (auto& p : s.peers)
    p.name = full_node_name(p.name, s.name.empty() ? "x@" + host_of_unnamed(s)
                                                   : s.name);
  s.worker |= s.name.empty();
  std::shared_ptr<node> self{new node(std::make_unique<impl>(std::move(s)))};
  auto& x = *self->impl_;
  if (is_numbered(x.core->settings.name))
    x.take_number();
  else if (x.core->settings.hidden && x.core->settings.name.empty())
    x.core->self()->rename(random_name(host_name()));
  if (x.core->settings.join)
    x.core->begin_join();
  x.world = std::make_unique<actor_system_thread>(x.core->settings.workers);
  x.core->system = &x.world->system();
  x.core->loop = event_loop::start();
  x.core->unit = std::make_shared<loop_unit>(*x.core->system, x.core->loop);
  logger_share_scope here;
  x.procs = std::make_unique<runtime::processes>(self->system(), *self);
  x.procs->allow_remote_debug(x.core->settings.remote_debug);
  if (x.core->settings.join) // whatever happens until then
    x.end_join_in_time();
  x.host = std::make_shared<node_table_host>(*x.procs);
  x.tables.attach(x.host);
  x.procs->on_owner_end([&x](const term& pid) { x.tables.release(pid); });
  x.pg = std::make_shared<runtime::groups>(*x.procs);
  x.core->inline_services[processes::service_name]
    = std::make_shared<process_service>(*x.procs);
  x.core->inline_services[groups::service_name]
    = std::make_shared<group_service>(x.pg);
  x.core->take_encoded = [&to = *x.procs](const std::string& service,
                                          std::string_view op) {
    return service == processes::service_name && take_message(to, op);
  };
  x.core->peering = spawn_peering(x.core);
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
  try {
    if (core->settings.listen)
      listen();
    if (core->settings.peers.empty())
      return;
    core->load_secret();
  } catch (...) {
    core->joined(); // nobody is reached any more
    throw;
  }
  core->tell_peering([](peering& p, clock::time_point now) { p.start(now); });
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

std::string node::full_name(const std::string& x) const {
  auto& s = impl_->core->settings;
  auto me = name();
  if (s.name.empty() && me == node_core::unnamed)
    me = "x@" + host_of_unnamed(s);
  return full_node_name(x, me);
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
  auto lost = [weak = std::weak_ptr{impl_->core}] {
    if (auto core = weak.lock())
      ++core->lost_casts;
  };
  auto box = std::make_shared<service_box>(name, std::move(make), lost);
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
    if (!p.said.hidden && !p.said.worker)
      out.push_back(p.said.name);
  return out;
}

std::vector<member> node::members() const {
  auto as_member = [](const hello& x, auto since) {
    auto role = x.hidden   ? member::role::hidden
                : x.worker ? member::role::worker
                           : member::role::node;
    return member{x.name, role, x.process, x.host, x.address, since};
  };
  std::vector<member> out{
    as_member(impl_->core->greeting(), impl_->core->started)};
  for (auto& p : impl_->core->all_peers())
    out.push_back(as_member(p.said, p.since));
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
    call c;
    c.op = op;
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
    ask_for_link(to, deadline::in(core->settings.connect_ms),
                 responder{[core, to](const outcome& x) {
                   // By another thread: this one may hold locks of a service.
                   if (!x || !core->find_link(to))
                     core->tell_peering([=](peering&, clock::time_point) {
                       core->connection_failed(to);
                     });
                 }},
                 false);
  return taken;
}

bool node::tell(const std::string& to, const std::string& service,
                const term& op) {
  if (to == name())
    return cast(to, service, op);
  auto link = impl_->core->find_link(to);
  return link && link->tell(service, encode(op));
}

failure node::why_not(const std::string& to) const {
  return impl_->core->find_link(to) ? too_much_to_send(to) : node_down(to);
}

void node::request(const std::string& to, const std::string& service,
                   const term& op, deadline until, std::uint32_t depth,
                   responder reply) {
  auto& core = impl_->core;
  if (to == name()) {
    call c;
    c.op = op;
    c.until = until;
    c.depth = depth;
    c.reply = std::move(reply);
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
  auto send = [=](const outcome& x) {
    auto link = x ? core->find_link(to) : nullptr;
    if (link) {
      link->request(service, body, until, depth, std::move(*shared));
      return;
    }
    auto why = x ? node_down(to) : x.error();
    why.unsent = true;
    (*shared)(std::move(why));
  };
  ask_for_link(to, patience, responder{std::move(send)}, false);
}

void node::connect(const std::string& target, deadline until, responder reply) {
  ask_for_link(target, until, std::move(reply), true);
}

void node::ask_for_link(const std::string& target, deadline until,
                        responder reply, bool to_know) {
  auto& core = impl_->core;
  if (core->stopping) {
    reply(node_ended());
    return;
  }
  try {
    core->load_secret();
    if (!core->settings.hidden)
      listen(); // whoever joins can be joined, and needs a name of its own
  } catch (const std::exception& e) {
    reply(failure{error_code::refused, e.what()});
    return;
  }
  core->want_peer(target, until, std::move(reply), to_know);
}

bool node::disconnect(const std::string& name) {
  auto& core = impl_->core;
  auto link = core->find_link(name);
  core->tell_peering(
    [name](peering& p, clock::time_point) { p.unwanted(name); });
  if (!link)
    return false;
  link->bye();
  return true;
}

listener_addresses addresses_of(const node_settings& s, const std::string& name,
                                const std::string& bound) {
  auto at = parse_address(bound);
  if (!at)
    return {bound, bound};
  auto here = *at;
  if (is_any_address(s.host))
    here.host = s.host.find(':') == std::string::npos ? "127.0.0.1" : "::1";
  auto elsewhere = announced_address(s, name, at->port);
  if (is_any_address(elsewhere.host))
    elsewhere.host = host_name();
  return {to_string(here), to_string(elsewhere)};
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
  if (s.name.empty())
    x.core->self()->rename(random_name(host_of_unnamed(s)));
  if (s.insecure_loopback_without_tls && host != "127.0.0.1")
    throw std::runtime_error("without TLS a node listens on 127.0.0.1 only, "
                             "not on "
                             + host);
  x.core->load_secret();
  auto greet = [core = x.core](int fd, std::shared_ptr<half_open> g) {
    session::greet(core, fd, std::move(g));
  };
  auto set_address = [&core = *x.core](const std::string& where) {
    std::unique_lock lock{core.mutex};
    core.address = where;
  };
  auto& registry = x.core->registry;
  bool claimed = !registry.holds(name()); // a number is, since the start
  if (claimed)
    registry.claim(name()); // before a port that both may want
  try {
    x.listener = listener::open(x.core->loop, host, s.port, name(),
                                std::move(greet),
                                [&core = *x.core](const std::string& where) {
                                  return core.has_member_at(where);
                                });
    auto [here, elsewhere] = addresses_of(s, name(), x.listener->address());
    set_address(elsewhere);
    registry.publish(here, elsewhere);
  } catch (...) {
    if (claimed)
      registry.withdraw();
    set_address({});
    if (auto gone = std::exchange(x.listener, nullptr))
      x.core->loop->post([gone] { gone->close(); });
    throw;
  }
}

void node::reload_secret() {
  impl_->core->reload_secret();
}

void node::join_host() {
  auto& core = impl_->core;
  std::vector<host_registry::entry> others;
  try {
    // Before it looks who is there: of two that start, one sees the other.
    listen();
    others = core->registry.all();
  } catch (...) {
    core->joined(); // nobody is reached any more
    throw;
  }
  if (core->begin_join()) // it has failed before
    impl_->end_join_in_time();
  // Those that don't answer now, as they stand still, are members all the same.
  core->tell_peering([=](peering& p, clock::time_point now) {
    std::vector<peering::member> members;
    members.reserve(others.size());
    for (auto& x : others)
      members.push_back({x.name, x.address});
    p.told(now, members);
  });
  std::erase_if(others, [&](auto& x) { return x.name == name(); });
  std::map<std::string, long> awaited;
  for (auto& x : others)
    if (!x.silent) // nobody waits for it again
      awaited.emplace(x.name, x.process);
  core->join_with(std::move(awaited));
  for (auto& x : others)
    connect(x.name, deadline::in(settings().connect_ms),
            responder{[core, name = x.name](const outcome& answer) {
              core->member_answered(name, answer.ok());
            }});
}

bool node::when_joined(std::function<void()> f) {
  return impl_->core->when_joined(std::move(f));
}

void node::stop() {
  auto& x = *impl_;
  if (x.stopped.exchange(true) || x.world == nullptr)
    return;
  auto& core = x.core;
  if (!core->peering) { // its start has failed
    x.world->end(std::chrono::milliseconds(3000), [core] {
      if (core->loop)
        core->loop->stop();
    });
    return;
  }
  auto until = clock::now()
               + std::chrono::milliseconds(core->settings.flush_ms);
  auto nap = [] { std::this_thread::sleep_for(std::chrono::milliseconds(1)); };
  while (core->casts_connecting > 0 && clock::now() < until)
    nap();
  core->stopping = true;
  core->joined(); // nobody waits for it any more
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
  {
    lock_scope guard{x.listen_mutex};
    x.core->loop->post([l = x.listener] {
      if (l)
        l->close();
    });
  }
  auto end_connections = [peering = std::move(peering), core]() mutable {
    caf::scoped_actor self{*core->system};
    auto end = [&](const caf::actor& a) {
      caf::anon_send_exit(a, caf::exit_reason::kill);
      self->wait_for(a);
    };
    end(peering); // which makes links
    peering = nullptr;
    for (auto& link : core->link_actors())
      end(link);
    core->loop->stop(); // and drops what is posted for actors
  };
  // Code that never suspends may hold a worker, and CAF with it, for ever.
  auto patience = std::chrono::milliseconds(stuck ? 300 : 3000);
  stuck |= !x.world->end(patience, std::move(end_connections));
  if (stuck) // code that never suspends still refers to them
    static_cast<void>(x.procs.release());
  lock_scope guard{x.listen_mutex};
  core->registry.withdraw(); // another node may have the name now
}

void node::before_fork() {
  impl_->listen_mutex.lock(); // no listener is being made
}

void node::after_fork_in_parent() {
  impl_->listen_mutex.unlock();
}

void node::abandon_after_fork() {
  auto& x = *impl_;
  x.stopped = true;
  x.core->registry.disown();
  x.core->loop->close_descriptors_after_fork();
  if (x.listener)
    x.listener->close_after_fork();
}

} // namespace hornbeam::runtime
