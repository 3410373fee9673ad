#include "actors/remote_table.hpp"

#include "runtime/table/options_term.hpp"

namespace hornbeam::actors {

using namespace runtime;

namespace {

constexpr std::int64_t default_patience_ms = 5000;

/// What a list of one value or none stands for.
std::optional<term> maybe(const term& x) {
  auto items = x.items();
  return items.empty() ? std::nullopt : std::optional{items[0]};
}

term listed(const std::optional<term>& x) {
  return x ? term::list({*x}) : term::list({});
}

std::size_t count_of(const term& x) {
  return static_cast<std::size_t>(x.as_int());
}

term pairs(term::entries xs) {
  term::sequence out;
  for (auto& [key, value] : xs)
    out.push_back(term::tuple({std::move(key), std::move(value)}));
  return term::list(std::move(out));
}

term steps(std::span<const counter_op> ops) {
  term::sequence out;
  for (auto& op : ops) {
    term::sequence x{term{static_cast<std::int64_t>(op.position)}, op.delta};
    if (op.threshold && op.reset) {
      x.push_back(*op.threshold);
      x.push_back(*op.reset);
    } else if (op.threshold || op.reset) {
      throw bad_term("a counter has both a threshold and a reset value, or "
                     "neither");
    }
    out.push_back(term::tuple(std::move(x)));
  }
  return term::list(std::move(out));
}

std::int64_t limit_of(std::size_t n) {
  return static_cast<std::int64_t>(std::min<std::size_t>(n, INT64_MAX));
}

} // namespace

remote_table::remote_table(std::string name, table_options options,
                           std::shared_ptr<router> net)
  : table(std::move(name), std::move(options)),
    net_(std::move(net)),
    service_("table:" + this->name()) {}

void remote_table::peer(const peer_event& e) {
  if (e.name != options().home)
    return;
  introduced_ = false;
  lost_ = !e.up;
}

outcome remote_table::request_once(const term& op, deadline until) const {
  auto slot = std::make_shared<reply_slot>();
  net_->request(options().home, service_, op, until, caller::current().depth,
                responder{slot});
  if (!slot->wait_until(until.at))
    return no_answer("the table '" + name() + "' at " + options().home,
                     options().home);
  return slot->take();
}

term remote_table::request(const term& op) const {
  auto until = caller::current().until;
  if (until.infinite())
    until = deadline::in(default_patience_ms);
  if (lost_) {
    call_home();
    auto why = node_down(options().home);
    why.message += ", and with it the table '" + name() + "'";
    throw failed{std::move(why)};
  }
  if (!introduced_)
    introduce(until);
  auto answer = request_once(op, until);
  if (answer)
    return *answer;
  // What a local table raises for a wrong argument, this one does.
  if (answer.error().code == error_code::bad_type)
    throw bad_term(answer.error().message);
  throw failed{answer.error()};
}

/// Has the home dialled, now and then. Nobody waits for it; when it is there,
/// `peer` says so.
void remote_table::call_home() const {
  auto now = clock::now().time_since_epoch().count();
  auto next = call_again_.load();
  constexpr clock::rep pause = std::chrono::nanoseconds{500'000'000}.count();
  if (now >= next && call_again_.compare_exchange_strong(next, now + pause))
    net_->cast(options().home, service_, make_op("size"));
}

void remote_table::introduce(deadline until) const {
  auto answer = request_once(make_op("open", to_term(options())), until);
  if (!answer)
    throw failed{answer.error()};
  introduced_ = true;
}

// -- operations ---------------------------------------------------------------

std::optional<term> remote_table::do_get(const term& key) const {
  return maybe(ask("get", key));
}

bool remote_table::do_contains(const term& key) const {
  return ask("contains", key).as_bool();
}

void remote_table::do_set(const term& key, term value, std::int64_t ttl_ms) {
  ask("set", key, std::move(value), ttl_ms);
}

bool remote_table::do_insert_new(const term& key, term value,
                                 std::int64_t ttl_ms) {
  return ask("insert_new", key, std::move(value), ttl_ms).as_bool();
}

std::optional<term> remote_table::do_take(const term& key) {
  return maybe(ask("take", key));
}

std::size_t remote_table::do_erase_object(const term& key, const term& value) {
  return count_of(ask("delete_object", key, value));
}

std::optional<term> remote_table::do_swap(const term& key, term value,
                                          std::int64_t ttl_ms) {
  return maybe(ask("swap", key, std::move(value), ttl_ms));
}

swap_result remote_table::do_compare_and_swap(
  const term& key, const std::optional<term>& expected,
  std::optional<term> desired, std::int64_t ttl_ms) {
  auto x = ask("compare_and_swap", key, listed(expected), listed(desired),
               ttl_ms);
  return {x.at(0).as_bool(), maybe(x.at(1))};
}

term remote_table::do_update_counter(const term& key, const term& delta,
                                     std::int64_t ttl_ms) {
  return ask("incr", key, delta, ttl_ms);
}

std::vector<term> remote_table::do_update_counters(
  const term& key, std::span<const counter_op> ops, const term& initial,
  std::int64_t ttl_ms) {
  return ask("update_counter", key, steps(ops), initial, ttl_ms).to_sequence();
}

bool remote_table::do_expire(const term& key, std::int64_t ttl_ms) {
  return ask("expire", key, ttl_ms).as_bool();
}

std::optional<std::int64_t> remote_table::do_left_ms(const term& key) const {
  auto x = maybe(ask("left_ms", key));
  return x ? std::optional{x->as_int()} : std::nullopt;
}

std::vector<std::optional<term>> remote_table::do_get_many(
  std::span<const term> keys) const {
  std::vector<std::optional<term>> out;
  auto found = ask("get_many", term::list({keys.begin(), keys.end()}));
  for (auto& x : found.items())
    out.push_back(maybe(x));
  return out;
}

void remote_table::do_set_many(term::entries entries, std::int64_t ttl_ms) {
  ask("set_many", pairs(std::move(entries)), ttl_ms);
}

bool remote_table::do_insert_all_new(term::entries entries,
                                     std::int64_t ttl_ms) {
  return ask("insert_new_many", pairs(std::move(entries)), ttl_ms).as_bool();
}

void remote_table::do_clear() {
  ask("clear");
}

std::size_t remote_table::do_size() const {
  return count_of(ask("size"));
}

std::vector<term> remote_table::do_keys(std::string_view prefix,
                                        std::size_t limit) const {
  return ask("keys", term::string(prefix), limit_of(limit)).to_sequence();
}

table_batch remote_table::do_scan(const term& from, std::size_t limit) const {
  auto x = ask("scan", from, limit_of(limit));
  table_batch out;
  for (auto& entry : x.at(0).items())
    out.entries.emplace_back(entry.at(0), entry.at(1));
  out.next = x.at(1);
  return out;
}

// -- the rest -----------------------------------------------------------------

std::uint64_t remote_table::add_watch(const table_interest& what,
                                      const term& pid) {
  auto number = what.key ? ask("watch_key", *what.key, pid)
                         : ask("watch_prefix", term::string(what.prefix), pid);
  return static_cast<std::uint64_t>(number.as_int());
}

bool remote_table::remove_watch(std::uint64_t number) {
  return ask("unwatch", static_cast<std::int64_t>(number)).as_bool();
}

void remote_table::check_watch() const {
  throw failed{error_code::bad_value,
               "the table '" + name() + "' is at " + options().home
                 + ": only a process can watch it from here"};
}

void remote_table::add_info(term::entries& out) const {
  // What the home says counts.
  auto x = ask("info");
  out.assign(x.pairs().begin(), x.pairs().end());
}

std::vector<table_entry> remote_table::dump() const {
  throw failed{error_code::bad_value, "the table '" + name()
                                        + "' is saved at its home, "
                                        + options().home};
}

void remote_table::replace(std::vector<table_entry>) {
  throw failed{error_code::bad_value, "the table '" + name()
                                        + "' is loaded at its home, "
                                        + options().home};
}

} // namespace hornbeam::actors
