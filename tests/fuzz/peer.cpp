#include "fuzz.hpp"

#include <cerrno>
#include <filesystem>
#include <memory>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include "actors/services.hpp"
#include "runtime/base/log.hpp"

// What connects to a node, through real sockets: its hello and the frames
// behind it. Whatever that is, the node lets go of the connection when the
// other side has nothing more to say, and goes on.

using namespace hornbeam;
using namespace hornbeam::runtime;
using namespace hornbeam::fuzz;

namespace {

constexpr int patience_ms = 5000;

/// A node of this process; never ended, as the fuzzer ends without a word.
actors::services& here() {
  static auto* node = [] {
    auto folder = "/dev/shm/hornbeam-fuzz-" + std::to_string(::getpid());
    std::filesystem::create_directories(folder);
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
    ::setenv("RUNTIME_DIRECTORY", folder.c_str(), 1);
    std::atexit(
      [] { std::filesystem::remove_all(std::getenv("RUNTIME_DIRECTORY")); });
    log::logger::get().set_sinks({});
    node_settings s;
    s.name = "fuzzed@127.0.0.1";
    s.cluster = "demo"; // as in the corpus
    s.listen = true;
    s.insecure_loopback_without_tls = true;
    s.link_buffer_bytes = std::size_t{1} << 20;
    return new std::shared_ptr<actors::services>(
      actors::services::start(std::move(s)));
  }();
  return **node;
}

/// libFuzzer looks every few seconds, by a signal, whether an input hangs.
template <class F>
auto uninterrupted(F call) {
  auto n = call();
  while (n < 0 && errno == EINTR)
    n = call();
  return n;
}

class visitor {
public:
  explicit visitor(const std::string& address)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<std::uint16_t>(
      std::stoi(address.substr(address.rfind(':') + 1))));
    auto connected = uninterrupted([&] {
      auto n = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to);
      return n != 0 && errno == EISCONN ? 0 : n; // it went on meanwhile
    });
    must(connected == 0, "a node takes connections");
  }
  ~visitor() { ::close(fd_); }
  visitor(const visitor&) = delete;
  visitor& operator=(const visitor&) = delete;

  void say(std::string_view x) {
    while (!x.empty()) {
      auto n = uninterrupted(
        [&] { return ::send(fd_, x.data(), x.size(), MSG_NOSIGNAL); });
      if (n <= 0)
        return; // it has ended it
      x.remove_prefix(static_cast<std::size_t>(n));
      read(0);
    }
  }
  /// Says that nothing more comes; the node ends it then.
  void leave() {
    ::shutdown(fd_, SHUT_WR);
    while (read(patience_ms))
      ;
    must(over_, "a connection that the other side has ended is let go");
  }

private:
  /// False: nothing comes for so long, or nothing more at all.
  bool read(int ms) {
    char bytes[1 << 16];
    pollfd x{fd_, POLLIN, 0};
    if (over_ || uninterrupted([&] { return ::poll(&x, 1, ms); }) != 1)
      return false;
    auto n = uninterrupted([&] { return ::recv(fd_, bytes, sizeof bytes, 0); });
    over_ = n <= 0;
    return !over_;
  }

  const int fd_;
  bool over_ = false;
};

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  auto& node = here();
  // The first byte says in how large pieces the rest comes.
  auto piece = std::size_t{1} << (data[0] % 13);
  auto all = text_of(data + 1, size - 1);
  visitor x{node.node->address()};
  for (; !all.empty(); all.remove_prefix(std::min(piece, all.size())))
    x.say(all.substr(0, piece));
  x.leave();
  auto y = node.functions.local("hornbeam.term_size")
             ->call({"hornbeam.term_size", {}, {term{1}}, {}, {}, {}, 0});
  must(y && y->ok(), "the node goes on");
  return 0;
}
