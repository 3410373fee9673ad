#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <openssl/ssl.h>

// What OpenSSL alone carries between two processes of this host: 1 MiB at a
// time, in pieces of 64 KiB, each answered with a byte.
//
//     hornbeam_bench_tls SECRET.pem

namespace {

constexpr std::size_t piece = std::size_t{64} << 10;
constexpr std::size_t whole = std::size_t{1} << 20;
constexpr int rounds = 500;

/// Two ends of a TCP connection.
bool loopback(int (&ends)[2]) {
  auto listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* address = reinterpret_cast<sockaddr*>(&at);
  socklen_t size = sizeof at;
  ends[0] = ::socket(AF_INET, SOCK_STREAM, 0);
  if (::bind(listener, address, size) != 0 || ::listen(listener, 1) != 0
      || ::getsockname(listener, address, &size) != 0
      || ::connect(ends[0], address, size) != 0)
    return false;
  ends[1] = ::accept(listener, nullptr, nullptr);
  ::close(listener);
  return ends[1] >= 0;
}

SSL* session(const char* secret, int fd, bool server) {
  auto* ctx = SSL_CTX_new(TLS_method());
  if (SSL_CTX_use_certificate_chain_file(ctx, secret) != 1
      || SSL_CTX_use_PrivateKey_file(ctx, secret, SSL_FILETYPE_PEM) != 1) {
    std::fprintf(stderr, "no certificate and key in %s\n", secret);
    std::exit(1);
  }
  auto* s = SSL_new(ctx);
  SSL_set_fd(s, fd);
  if ((server ? SSL_accept(s) : SSL_connect(s)) != 1) {
    std::fprintf(stderr, "the handshake failed\n");
    std::exit(1);
  }
  return s;
}

void serve(SSL* s) {
  std::vector<char> buffer(piece);
  for (;;) {
    for (std::size_t got = 0; got < whole;) {
      auto n = SSL_read(s, buffer.data(), static_cast<int>(piece));
      if (n <= 0)
        return;
      got += static_cast<std::size_t>(n);
    }
    SSL_write(s, "k", 1);
  }
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s SECRET.pem\n", argv[0]);
    return 1;
  }
  int ends[2];
  if (!loopback(ends))
    return 1;
  auto child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    serve(session(argv[1], ends[1], true));
    std::_Exit(0);
  }
  ::close(ends[1]);
  auto* s = session(argv[1], ends[0], false);
  std::vector<char> data(whole);
  char answer = 0;
  auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < rounds; ++i) {
    for (std::size_t sent = 0; sent < whole; sent += piece)
      SSL_write(s, data.data() + sent, static_cast<int>(piece));
    SSL_read(s, &answer, 1);
  }
  std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("{\"name\": \"tls\", \"unit\": \"MB/s\", \"value\": %.1f}\n",
              rounds * whole / 1e6 / took.count());
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
}
