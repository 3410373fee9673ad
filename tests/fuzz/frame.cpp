#include "fuzz.hpp"

#include <optional>
#include <vector>

#include "runtime/link/link.hpp"
#include "runtime/link/node_core.hpp"
#include "runtime/term/wire.hpp"

// What a connected node sends: its greeting, and batches of frames.

using namespace hornbeam::runtime;
using namespace hornbeam::fuzz;

namespace {

struct message {
  bool is_cast;
  std::string service;
  std::uint32_t depth;
  std::string body;
  bool operator==(const message&) const = default;
};

struct end : hornbeam::runtime::link::sink {
  void on_request(std::uint64_t id, const std::string& service, deadline,
                  std::uint32_t depth, std::string_view body) override {
    got.push_back({false, service, depth, std::string{body}});
    wire.reply(id, term{});
  }
  void on_cast(const std::string& service, std::string_view body) override {
    got.push_back({true, service, 0, std::string{body}});
  }
  void on_bye() override {}
  void on_announced() override {}

  hornbeam::runtime::link wire{"peer@host", 1, [](bool) {}};
  std::vector<message> got;
};

/// What of `sent` is there once it has gone over another link.
std::vector<message> carry(const std::vector<message>& sent) {
  end from;
  end to;
  for (auto& x : sent)
    if (x.is_cast)
      from.wire.cast(x.service, x.body);
    else
      from.wire.request(x.service, x.body, {}, x.depth, responder{});
  for (auto batch = from.wire.next_batch(); !batch.empty();
       batch = from.wire.next_batch())
    to.wire.receive(batch, to);
  return to.got;
}

void greet(std::string_view bytes) {
  hello x;
  try {
    wire_reader{bytes} >> x;
  } catch (const decode_error&) {
    return;
  }
  std::string written;
  wire_writer{written} << x;
  hello again;
  wire_reader{written} >> again;
  must(again.name == x.name && again.incarnation == x.incarnation
         && again.cluster == x.cluster && again.address == x.address
         && again.hidden == x.hidden && again.worker == x.worker
         && again.process == x.process && again.host == x.host
         && again.parent == x.parent,
       "a greeting that is sent on is the same");
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto all = text_of(data, size);
  greet(all);
  if (all.empty())
    return 0;
  // The first byte says where one batch ends and the next begins.
  auto first = std::min<std::size_t>(data[0], all.size() - 1);
  end x;
  int answers = 0;
  constexpr int asked = 3;
  for (int i = 0; i < asked; ++i) // a reply is one to a request
    x.wire.request("s", "", {}, 0, responder{[&](auto) { ++answers; }});
  try {
    x.wire.receive(all.substr(1, first), x);
    x.wire.receive(all.substr(1 + first), x);
    while (!x.wire.next_batch().empty())
      ;
  } catch (const decode_error&) {
    // as a link does then
  }
  x.wire.close({});
  must(answers == asked, "each request is answered once");
  must(carry(x.got) == x.got, "messages arrive as they were sent");
  return 0;
}
