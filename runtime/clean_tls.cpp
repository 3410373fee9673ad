#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <caf/openssl/session.hpp>

// What CAF's TLS sessions do to OpenSSL, mended. CAF binds to the functions
// below before its own and OpenSSL's, since this library comes first where
// symbols are looked up; a test of links holds it to that
// (tests/python/test_rpc.py, "the death of one node").
//
// What OpenSSL reports lies in a queue of the thread, and SSL_get_error takes
// any entry there for one of the connection it is asked about. So the queue
// must be empty before each operation (see its manual page), and CAF doesn't
// see to that: a peer that dies without a TLS goodbye leaves an entry, and the
// next healthy connection that finds nothing to read is closed for it.
//
// A write to a connection that is gone raises SIGPIPE. CAF blocks the signal
// around each operation, with three system calls. Here the sockets write
// without the signal. And CAF reads until a socket has nothing more, where
// OpenSSL reads the head of each record by itself: four system calls for a
// message. Here it reads all that is there, and a read that got less than it
// wanted was the last one; should more have come meanwhile, epoll says so.
// System calls are the larger part of what a call to another node costs.

namespace {

/// A socket as OpenSSL's BIO sees it.
struct quiet_socket {
  int fd = -1;
  int full_reads = 0;   ///< in a row
  bool drained = false; ///< the next read has nothing to get
};

/// After so many full reads another socket has its turn.
constexpr int reads_in_a_row = 64;

quiet_socket& socket_of(BIO* x) {
  return *static_cast<quiet_socket*>(BIO_get_data(x));
}

int write_socket(BIO* x, const char* from, int n) {
  BIO_clear_retry_flags(x);
  auto done = ::send(socket_of(x).fd, from, static_cast<std::size_t>(n),
                     MSG_NOSIGNAL);
  if (done < 0 && BIO_sock_should_retry(-1) != 0)
    BIO_set_retry_write(x);
  return static_cast<int>(done);
}

int read_socket(BIO* x, char* to, int n) {
  auto& s = socket_of(x);
  BIO_clear_retry_flags(x);
  if (std::exchange(s.drained, false)) {
    s.full_reads = 0;
    BIO_set_retry_read(x);
    return -1;
  }
  auto done = ::recv(s.fd, to, static_cast<std::size_t>(n), 0);
  if (done < 0 && BIO_sock_should_retry(-1) != 0)
    BIO_set_retry_read(x);
  if (done > 0)
    s.drained = done < n || ++s.full_reads == reads_in_a_row;
  return static_cast<int>(done);
}

long control(BIO*, int what, long, void*) {
  return what == BIO_CTRL_FLUSH ? 1 : 0; // nothing is buffered
}

int destroy(BIO* x) {
  delete &socket_of(x);
  return 1;
}

const BIO_METHOD* quiet_sockets() {
  static const BIO_METHOD* one = [] {
    auto* x = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
                           "hornbeam socket");
    BIO_meth_set_write(x, write_socket);
    BIO_meth_set_read(x, read_socket);
    BIO_meth_set_ctrl(x, control);
    BIO_meth_set_destroy(x, destroy);
    return x;
  }();
  return one;
}

} // namespace

extern "C" {

int SSL_read(SSL* s, void* to, int n) {
  ERR_clear_error();
  std::size_t done = 0;
  return SSL_read_ex(s, to, static_cast<std::size_t>(n), &done) > 0
           ? static_cast<int>(done)
           : -1;
}

int SSL_write(SSL* s, const void* from, int n) {
  ERR_clear_error();
  std::size_t done = 0;
  return SSL_write_ex(s, from, static_cast<std::size_t>(n), &done) > 0
           ? static_cast<int>(done)
           : -1;
}

// CAF has called SSL_set_accept_state or SSL_set_connect_state before.

int SSL_accept(SSL* s) {
  ERR_clear_error();
  return SSL_do_handshake(s);
}

int SSL_connect(SSL* s) {
  ERR_clear_error();
  return SSL_do_handshake(s);
}

int SSL_set_fd(SSL* s, int fd) {
  auto* x = BIO_new(quiet_sockets());
  if (x == nullptr)
    return 0;
  BIO_set_data(x, new quiet_socket{fd});
  BIO_set_init(x, 1);
  SSL_set_bio(s, x, x);
  SSL_set_read_ahead(s, 1);
  return 1;
}

} // extern "C"

namespace caf::openssl {

rw_state session::read_some(std::size_t& done, native_socket, void* to,
                            std::size_t n) {
  if (connecting_ || accepting_)
    return do_some(SSL_read, done, to, n, "read_some");
  done = 0;
  if (n == 0)
    return rw_state::indeterminate;
  auto got = SSL_read(ssl_, to, static_cast<int>(n));
  if (got > 0)
    done = static_cast<std::size_t>(got);
  return got > 0 || handle_ssl_result(got) ? rw_state::success
                                           : rw_state::failure;
}

rw_state session::write_some(std::size_t& done, native_socket, const void* from,
                             std::size_t n) {
  auto write = [](SSL* s, void* x, int size) { return SSL_write(s, x, size); };
  if (connecting_ || accepting_)
    return do_some(write, done, const_cast<void*>(from), n, "write_some");
  done = 0;
  if (n == 0)
    return rw_state::indeterminate;
  auto sent = SSL_write(ssl_, from, static_cast<int>(n));
  if (sent > 0)
    done = static_cast<std::size_t>(sent);
  return sent > 0 || handle_ssl_result(sent) ? rw_state::success
                                             : rw_state::failure;
}

/// Whatever OpenSSL has read ahead is read on; epoll doesn't know of it.
bool session::must_read_more(native_socket, std::size_t) {
  return SSL_has_pending(ssl_) != 0;
}

} // namespace caf::openssl
