#include <openssl/err.h>
#include <openssl/ssl.h>

// What OpenSSL reports lies in a queue of the thread, and SSL_get_error takes
// any entry there for one of the connection it is asked about. So the queue
// must be empty before each operation (see its manual page), and CAF's TLS
// sessions don't see to that: a peer that dies without a TLS goodbye leaves an
// entry, and the next healthy connection that finds nothing to read is closed
// for it. CAF binds to these four functions of ours before OpenSSL's, since
// this library comes first where symbols are looked up; a test of links holds
// it to that (tests/python/test_rpc.py, "the death of one node").

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

} // extern "C"
