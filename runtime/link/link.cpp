#include "runtime/link/link.hpp"

#include <algorithm>
#include <set>

#include "runtime/term/wire.hpp"

namespace hornbeam::runtime {

namespace {

enum class frame : std::uint8_t {
  request = 1,
  cast,
  reply,
  fragment,
  credit,
  ping,
  bye,
  bye_ok,
  probe,
  alive,
  announced,
};

/// Whether frames of that tag come in the order in which they were sent.
bool stays_behind(std::uint64_t tag) {
  auto x = static_cast<frame>(tag);
  return x == frame::cast || x == frame::announced || x == frame::bye
         || x == frame::bye_ok;
}

/// What is set aside for a message in pieces before it is there.
constexpr std::uint64_t most_at_once = std::uint64_t{4} << 20;
/// The type of an error that stands for a call that has not begun.
constexpr auto unsent_mark = "$unsent";
/// To decode so much takes some milliseconds at the most, and to have another
/// thread do it would take a quarter of what an array of it takes altogether.
constexpr std::size_t at_once = std::size_t{5} << 18;
/// What a message takes here beside its bytes, at the least.
constexpr std::size_t least_charge = 512;

clock::time_point at(link::moment x) {
  return x ? *x : clock::now();
}

/// A frame of a tag and fields.
template <class... Ts>
std::string make_frame(frame tag, const Ts&... fields) {
  std::string out;
  wire_writer ar{out};
  ar << tag;
  ((void)(ar << fields), ...);
  return out;
}

/// A body is the last field of its frame: no length is needed.
std::string with_body(std::string head, std::string_view body) {
  head.append(body);
  return head;
}

std::string encode_outcome(const outcome& x) {
  std::string out;
  wire_writer ar{out};
  ar << x.ok();
  if (x.ok()) {
    ar << *x;
    return out;
  }
  auto f = x.error();
  if (f.unsent) // it has no field of its own
    f.type = unsent_mark;
  ar << f;
  return out;
}

outcome decode_outcome(std::string_view bytes) {
  wire_reader ar{bytes};
  bool ok = false;
  ar >> ok;
  if (ok) {
    term x;
    ar >> x;
    ar.finish();
    return x;
  }
  failure f;
  ar >> f;
  ar.finish();
  if (f.type == unsent_mark) {
    f.unsent = true;
    f.type.clear();
  }
  return f;
}

} // namespace

link::link(std::string peer, std::uint64_t incarnation, waker wake,
           std::shared_ptr<wait_helper> answers, std::size_t buffer)
  : peer_(std::move(peer)),
    incarnation_(incarnation),
    wake_(std::move(wake)),
    answers_(std::move(answers)),
    buffer_(buffer),
    closed_with_(node_down(peer_)) {}

bool link::push(std::string f, kind is, bool urgent, std::uint64_t request) {
  bool wake = false;
  {
    lock_scope guard{out_mutex_};
    if (!open_)
      return false;
    // Whatever its size, so that what is large has its turn as well.
    if ((is == kind::request || is == kind::cast)
        && (waiting_bytes_ >= buffer_ || f.size() > message_limit)) {
      ++refused_;
      return false;
    }
    if (f.size() > fragment_size || (in_order(is) && large_casts_ > 0)) {
      waiting_bytes_ += large_.empty() ? 0 : f.size(); // the first is under way
      large_casts_ += in_order(is);
      large_.push_back({std::move(f), 0, next_number_++, is, request});
    } else {
      small_casts_ += in_order(is);
      small_.push_back({std::move(f), request, is});
      waiting_bytes_ += small_.back().cost();
    }
    wake = !std::exchange(awake_, true)
           || (!in_order(is) && std::exchange(lingering_, false));
  }
  if (wake)
    wake_(urgent);
  return true;
}

bool link::cast(const std::string& service, std::string_view body) {
  return push(with_body(make_frame(frame::cast, service), body), kind::cast);
}

bool link::tell(const std::string& service, std::string_view body) {
  return push(with_body(make_frame(frame::cast, service), body),
              kind::behind_casts);
}

std::uint64_t link::request(const std::string& service, std::string_view body,
                            deadline until, std::uint32_t depth,
                            responder reply, moment now) {
  std::uint64_t id = 0;
  auto waiter = reply.slot();
  if (waiter)
    waiter->helped_by(answers_);
  {
    std::unique_lock lock{pending_mutex_};
    if (!open_) {
      auto why = closed_with_;
      lock.unlock();
      why.unsent = true;
      reply(std::move(why));
      return 0;
    }
    id = next_id_++;
    pending_.emplace(id, open_request{std::move(reply), until});
  }
  auto left = until.infinite() ? -1 : until.left_ms(at(now));
  auto head = make_frame(frame::request, id, service,
                         static_cast<std::uint64_t>(left + 1), depth);
  if (!push(with_body(std::move(head), body), kind::request, waiter != nullptr,
            id)) {
    // Either the link has closed meanwhile or it is full.
    std::unique_lock lock{pending_mutex_};
    if (auto node = pending_.extract(id)) {
      auto why = closed_with_;
      lock.unlock();
      if (open_)
        why = body.size() > message_limit
                ? failure{error_code::overloaded,
                          "a message of " + std::to_string(body.size())
                            + " bytes, over the limit of "
                            + std::to_string(message_limit),
                          peer_}
                : too_much_to_send(peer_);
      why.unsent = true;
      node.mapped().reply(std::move(why));
    }
  }
  return id;
}

void link::forget(std::uint64_t id) {
  std::unique_lock lock{pending_mutex_};
  if (auto node = pending_.extract(id)) {
    lock.unlock();
    node.mapped().reply(no_answer("the node " + peer_, peer_));
  }
}

void link::reply(std::uint64_t id, const outcome& x) {
  push(with_body(make_frame(frame::reply, id), encode_outcome(x)),
       kind::answer);
}

void link::bye() {
  push(make_frame(frame::bye), kind::behind_casts);
}

void link::announced() {
  push(make_frame(frame::announced), kind::behind_casts, true);
}

void link::ping() {
  push(make_frame(frame::ping), kind::answer);
}

void link::probe() {
  push(make_frame(frame::probe), kind::answer);
}

void link::expire(moment now) {
  auto by = at(now);
  std::vector<std::uint64_t> late;
  {
    lock_scope guard{pending_mutex_};
    for (auto& [id, r] : pending_)
      if (r.until.expired(by))
        late.push_back(id);
  }
  for (auto id : late)
    forget(id);
}

bool link::behind() const {
  lock_scope guard{out_mutex_};
  return waiting_bytes_ >= 2 * buffer_;
}

void link::count_unread() {
  if (++unread_refusals_ > most_unread_refusals)
    throw decode_error("requests, and reads no answer");
}

std::size_t link::counted(std::size_t bytes) const {
  return std::min(bytes + least_charge, buffer_ / 2);
}

std::shared_ptr<void> link::charge(std::size_t bytes) {
  bytes = counted(bytes);
  held_ += bytes;
  return {nullptr,
          [x = shared_from_this(), bytes](void*) { x->held_ -= bytes; }};
}

void link::shut() {
  lock_scope guard{out_mutex_};
  open_ = false;
}

bool link::drained() const {
  lock_scope guard{out_mutex_};
  return small_.empty() && large_.empty();
}

std::size_t link::pending() const {
  lock_scope guard{pending_mutex_};
  return pending_.size();
}

std::string link::next_batch(bool lingering) {
  std::string batch;
  wire_writer ar{batch};
  lock_scope guard{out_mutex_};
  while (!small_.empty() && batch.size() < batch_size) {
    ar << small_.front().bytes;
    sent_casts_ |= in_order(small_.front().is);
    waiting_bytes_ -= small_.front().cost();
    small_casts_ -= in_order(small_.front().is);
    small_.pop_front();
  }
  // A cast waits for those before it.
  if (!large_.empty() && in_flight_ < window
      && !(in_order(large_.front().is) && small_casts_ > 0)) {
    auto& f = large_.front();
    auto n = std::min(fragment_size, f.bytes.size() - f.sent);
    auto head = make_frame(frame::fragment, f.number,
                           static_cast<std::uint64_t>(f.bytes.size()));
    ar << with_body(std::move(head),
                    std::string_view{f.bytes}.substr(f.sent, n));
    f.sent += n;
    ++in_flight_;
    if (f.sent == f.bytes.size()) {
      large_casts_ -= in_order(f.is);
      large_.pop_front();
      if (!large_.empty())
        waiting_bytes_ -= large_.front().bytes.size();
    }
  }
  if (batch.empty()) {
    lingering_ = lingering && std::exchange(sent_casts_, false);
    awake_ = lingering_;
  }
  return batch;
}

bool link::lingers() const {
  lock_scope guard{out_mutex_};
  return lingering_;
}

void link::receive(std::string_view batch, sink& to, moment now) {
  wire_reader in{batch};
  while (in.remaining() > 0) {
    auto x = in.take(in.length());
    if (casts_apart_ == 0 || x.empty()
        || !stays_behind(static_cast<unsigned char>(x[0]))) {
      take_frame(x, to, now);
      continue;
    }
    take_apart({{std::string{x}}, x.size()}, to, now);
  }
}

struct link::under_way {
  under_way(link& x, std::size_t n, bool stays)
    : on(x), bytes(n), holds_casts(stays) {
    on.apart_bytes_ += bytes;
    on.casts_apart_ += holds_casts;
  }
  ~under_way() {
    on.casts_apart_ -= holds_casts;
    on.apart_bytes_ -= bytes;
    on.pay_credit();
  }
  under_way(const under_way&) = delete;
  under_way& operator=(const under_way&) = delete;

  link& on;
  const std::size_t bytes;
  const bool holds_casts;
};

void link::take_apart(half_received x, sink& to, moment now) {
  auto all = std::make_shared<half_received>(std::move(x));
  auto tag = static_cast<frame>(all->tag());
  if (tag == frame::bye || tag == frame::bye_ok)
    to.on_bye_seen();
  auto bytes = counted(static_cast<std::size_t>(all->size));
  auto until_taken = std::make_shared<under_way>(*this, bytes,
                                                 stays_behind(all->tag()));
  // Its deadline counts from now.
  to.apart([this, &to, now = at(now), all, until_taken]() mutable {
    take_frame(std::move(*all).whole(), to, now, true);
    until_taken = nullptr;
  });
}

void link::pay_credit() {
  if (apart_bytes_ < buffer_)
    if (auto n = owed_credit_.exchange(0); n > 0)
      push(make_frame(frame::credit, n), kind::answer);
}

std::uint64_t link::half_received::tag() const {
  return parts.empty() || parts[0].empty()
           ? 0
           : static_cast<unsigned char>(parts[0][0]);
}

void link::half_received::append(std::string_view x, std::uint64_t total) {
  size += x.size();
  if (size > total)
    throw decode_error("a fragment behind the end of its message");
  if (parts.empty() || parts.back().size() + x.size() > parts.back().capacity())
    parts.emplace_back().reserve(static_cast<std::size_t>(
      std::min(total - size + x.size(), most_at_once)));
  parts.back().append(x);
}

std::string link::half_received::whole() && {
  if (parts.size() == 1)
    return std::move(parts[0]);
  std::string out;
  out.reserve(size);
  for (auto& x : parts) {
    out += x;
    x = {}; // or all of it would be there twice
  }
  return out;
}

void link::take_frame(std::string_view bytes, sink& to, moment now,
                      bool in_pieces) {
  wire_reader in{bytes};
  std::uint64_t tag = 0;
  in >> tag;
  auto rest = [&] { return in.take(in.remaining()); };
  switch (static_cast<frame>(tag)) {
    case frame::request: {
      std::uint64_t id = 0;
      std::string service;
      std::uint64_t ttl = 0;
      std::uint32_t depth = 0;
      in >> id >> service >> ttl >> depth;
      auto until = ttl == 0 ? deadline{}
                            : deadline::in(static_cast<std::int64_t>(ttl - 1),
                                           at(now));
      if (behind()) {
        count_unread();
        reply(id, failure{error_code::overloaded,
                          "too much that it has asked for waits to be sent to "
                            + peer_});
        return;
      }
      unread_refusals_ = 0;
      to.on_request(id, service, until, depth, rest());
      return;
    }
    case frame::cast: {
      std::string service;
      in >> service;
      to.on_cast(service, rest());
      return;
    }
    case frame::reply: {
      std::uint64_t id = 0;
      in >> id;
      std::unique_lock lock{pending_mutex_};
      auto node = pending_.extract(id);
      lock.unlock();
      if (node) // else the caller has given up
        node.mapped().reply(decode_outcome(rest()));
      return;
    }
    case frame::fragment: {
      std::uint64_t number = 0;
      std::uint64_t total = 0;
      in >> number >> total;
      if (in_pieces) // each level would be one more on the stack
        throw decode_error("a fragment inside a fragment");
      if (total > message_limit)
        throw decode_error("a message of " + std::to_string(total)
                           + " bytes, over the limit of "
                           + std::to_string(message_limit));
      auto& whole = partial_[number];
      if (partial_.size() > most_half_received)
        throw decode_error("more than " + std::to_string(most_half_received)
                           + " messages at once");
      if (behind())
        count_unread();
      ++owed_credit_;
      pay_credit();
      auto before = whole.size;
      whole.append(rest(), total);
      partial_bytes_ += whole.size - before;
      if (partial_bytes_ > message_limit)
        throw decode_error("more than " + std::to_string(message_limit)
                           + " bytes of several messages at once");
      if (whole.size == total) {
        auto done = std::move(whole);
        partial_.erase(number);
        partial_bytes_ -= done.size;
        if (done.size <= at_once
            && (casts_apart_ == 0 || !stays_behind(done.tag())))
          take_frame(std::move(done).whole(), to, now, true);
        else
          take_apart(std::move(done), to, now);
      }
      return;
    }
    case frame::credit: {
      std::uint64_t n = 0;
      in >> n;
      bool wake = false;
      {
        lock_scope guard{out_mutex_};
        in_flight_ -= std::min<std::size_t>(in_flight_, n);
        if (!large_.empty())
          wake = !std::exchange(awake_, true);
      }
      if (wake)
        wake_(false);
      return;
    }
    case frame::ping:
    case frame::alive:
      return;
    case frame::probe:
      if (behind())
        count_unread();
      push(make_frame(frame::alive), kind::answer);
      return;
    case frame::announced:
      to.on_announced();
      return;
    case frame::bye:
      push(make_frame(frame::bye_ok), kind::behind_casts);
      to.on_bye();
      return;
    case frame::bye_ok:
      to.on_bye();
      return;
  }
}

std::size_t link::close(const failure& why) {
  std::set<std::uint64_t> unsent;
  std::size_t lost = 0;
  {
    lock_scope guard{out_mutex_};
    open_ = false;
    auto drop = [&](auto& f) {
      if (f.is == kind::request)
        unsent.insert(f.request);
      lost += f.is == kind::cast;
    };
    std::for_each(small_.begin(), small_.end(), drop);
    // What is in pieces has not run.
    std::for_each(large_.begin(), large_.end(), drop);
    small_.clear();
    large_.clear();
    waiting_bytes_ = 0;
    small_casts_ = large_casts_ = 0;
  }
  std::unordered_map<std::uint64_t, open_request> open_requests;
  {
    lock_scope guard{pending_mutex_};
    closed_with_ = why;
    open_requests.swap(pending_);
  }
  for (auto& [id, r] : open_requests) {
    auto f = why;
    f.unsent = unsent.contains(id);
    r.reply(std::move(f));
  }
  return lost;
}

} // namespace hornbeam::runtime
