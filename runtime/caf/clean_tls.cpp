#include <utility>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <caf/openssl/session.hpp>

// What CAF's TLS sessions do to OpenSSL, mended. CAF binds to the members of
// `session` below before its own, since this library comes first where symbols
// are looked up; a test of links holds it to that (tests/python/test_rpc.py,
// "the death of one node"). Only CAF's sessions are changed: OpenSSL stays as
// it is for the rest of the program.
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

/// Lets `x` use the socket. False if there is no memory.
bool use_socket(SSL* x, int fd) {
  auto* bio = BIO_new(quiet_sockets());
  if (bio == nullptr)
    return false;
  BIO_set_data(bio, new quiet_socket{fd});
  BIO_set_init(bio, 1);
  SSL_set_bio(x, bio, bio);
  SSL_set_read_ahead(x, 1);
  return true;
}

int read_tls(SSL* x, void* to, int n) {
  ERR_clear_error();
  return SSL_read(x, to, n);
}

int write_tls(SSL* x, void* from, int n) {
  ERR_clear_error();
  return SSL_write(x, from, n);
}

} // namespace

namespace caf::openssl {

bool session::try_connect(native_socket fd) {
  if (!use_socket(ssl_, fd))
    return false;
  SSL_set_connect_state(ssl_);
  ERR_clear_error();
  auto done = SSL_connect(ssl_);
  connecting_ = done != 1;
  return done == 1 || handle_ssl_result(done);
}

bool session::try_accept(native_socket fd) {
  if (!use_socket(ssl_, fd))
    return false;
  SSL_set_accept_state(ssl_);
  ERR_clear_error();
  auto done = SSL_accept(ssl_);
  accepting_ = done != 1;
  return done == 1 || handle_ssl_result(done);
}

rw_state session::read_some(std::size_t& done, native_socket, void* to,
                            std::size_t n) {
  if (connecting_ || accepting_) {
    ERR_clear_error();
    return do_some(read_tls, done, to, n, "read_some");
  }
  done = 0;
  if (n == 0)
    return rw_state::indeterminate;
  auto got = read_tls(ssl_, to, static_cast<int>(n));
  if (got > 0)
    done = static_cast<std::size_t>(got);
  return got > 0 || handle_ssl_result(got) ? rw_state::success
                                           : rw_state::failure;
}

rw_state session::write_some(std::size_t& done, native_socket, const void* from,
                             std::size_t n) {
  auto* bytes = const_cast<void*>(from);
  if (connecting_ || accepting_) {
    ERR_clear_error();
    return do_some(write_tls, done, bytes, n, "write_some");
  }
  done = 0;
  if (n == 0)
    return rw_state::indeterminate;
  auto sent = write_tls(ssl_, bytes, static_cast<int>(n));
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
