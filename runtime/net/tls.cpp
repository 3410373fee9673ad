#include "runtime/net/tls.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

// What OpenSSL reports lies in a queue of the thread, which Python's `ssl`
// shares, and SSL_get_error takes any entry there for one of the connection it
// is asked about: so the queue is emptied before each operation.

namespace hornbeam::runtime {

namespace {

/// The protocol behind TLS, as ALPN names it: its length, then its name.
constexpr unsigned char protocol[] = "\x0ahornbeam/2";
constexpr unsigned protocol_size = sizeof protocol - 1;

/// Plain bytes that are decrypted at a time: those of a TLS record.
constexpr std::size_t record = std::size_t{16} << 10;

[[noreturn]] void fail() {
  char text[256] = "no reason given";
  if (auto e = ERR_peek_last_error(); e != 0)
    ERR_error_string_n(e, text, sizeof text);
  ERR_clear_error();
  throw std::runtime_error(std::string{"OpenSSL can't be used: "} + text);
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* size,
                    const unsigned char* offered, unsigned n, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, size, protocol, protocol_size, offered, n)
      != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

} // namespace

std::shared_ptr<const tls_context> tls_context::make(const credentials& from) {
  std::shared_ptr<tls_context> self{new tls_context};
  self->context_ = SSL_CTX_new(TLS_method());
  auto* x = self->context_;
  if (x == nullptr)
    fail();
  SSL_CTX_set_min_proto_version(x, TLS1_3_VERSION);
  SSL_CTX_set_num_tickets(x, 0); // nothing is resumed
  SSL_CTX_set_session_cache_mode(x, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_read_ahead(x, 1);
  SSL_CTX_set_alpn_protos(x, protocol, protocol_size);
  SSL_CTX_set_alpn_select_cb(x, choose_protocol, nullptr);
  SSL_CTX_set_verify(x, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                     nullptr);
  auto* store = SSL_CTX_get_cert_store(x);
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  for (auto& c : from.certificates)
    X509_STORE_add_cert(store, c.get());
  if (SSL_CTX_use_certificate(x, from.certificates.front().get()) != 1
      || SSL_CTX_use_PrivateKey(x, from.key.get()) != 1)
    fail();
  ERR_clear_error();
  return self;
}

tls_context::~tls_context() {
  SSL_CTX_free(context_);
}

int tls_session::read_input(BIO* x, char* to, int n) {
  auto& in = static_cast<tls_session*>(BIO_get_data(x))->input_;
  BIO_clear_retry_flags(x);
  if (in.empty()) {
    BIO_set_retry_read(x);
    return -1;
  }
  auto k = std::min(in.size(), static_cast<std::size_t>(n));
  std::memcpy(to, in.data(), k);
  in.remove_prefix(k);
  return static_cast<int>(k);
}

int tls_session::write_output(BIO* x, const char* from, int n) {
  auto& out = static_cast<tls_session*>(BIO_get_data(x))->output_;
  out.append(from, static_cast<std::size_t>(n));
  return n;
}

long tls_session::control(BIO*, int what, long, void*) {
  return what == BIO_CTRL_FLUSH ? 1 : 0; // nothing is buffered
}

const BIO_METHOD* tls_session::method() {
  static const BIO_METHOD* one = [] {
    auto* x = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
                           "hornbeam connection");
    BIO_meth_set_read(x, read_input);
    BIO_meth_set_write(x, write_output);
    BIO_meth_set_ctrl(x, control);
    return x;
  }();
  return one;
}

tls_session::tls_session(std::shared_ptr<const tls_context> context, role x)
  : context_(std::move(context)), established_(context_ == nullptr) {
  if (!context_)
    return;
  ERR_clear_error();
  ssl_ = SSL_new(context_->context_);
  auto* bio = ssl_ != nullptr ? BIO_new(method()) : nullptr;
  if (bio == nullptr) {
    SSL_free(ssl_);
    throw std::bad_alloc();
  }
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  if (x == role::client)
    SSL_set_connect_state(ssl_);
  else
    SSL_set_accept_state(ssl_);
}

tls_session::~tls_session() {
  SSL_free(ssl_);
}

void tls_session::explain(const char* during) {
  auto code = ERR_peek_error();
  if (auto bad = SSL_get_verify_result(ssl_); bad != X509_V_OK)
    why_ = std::string{"it has another secret file, or one that is no longer "
                       "good: "}
           + X509_verify_cert_error_string(bad);
  else if (code == 0)
    why_ = std::string{"the connection was closed "} + during;
  else
    switch (ERR_GET_REASON(code)) {
      case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
      case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
      case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
        why_ = "it does not accept our certificate: it has another secret file";
        break;
      case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
      case SSL_R_NO_APPLICATION_PROTOCOL:
        why_ = "it does not speak this version of Hornbeam's protocol";
        break;
      case SSL_R_WRONG_VERSION_NUMBER:
      case SSL_R_UNSUPPORTED_PROTOCOL:
      case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      case SSL_R_UNEXPECTED_MESSAGE:
      case SSL_R_HTTP_REQUEST:
        why_ = "it does not speak TLS 1.3";
        break;
      default: {
        const char* reason = ERR_reason_error_string(code);
        why_ = std::string{"TLS failed "} + during + ": "
               + (reason != nullptr ? reason : "no reason given");
      }
    }
  ERR_clear_error();
}

bool tls_session::shake_hands() {
  ERR_clear_error();
  auto done = SSL_do_handshake(ssl_);
  if (done == 1) {
    const unsigned char* chosen = nullptr;
    unsigned n = 0;
    SSL_get0_alpn_selected(ssl_, &chosen, &n);
    if (chosen == nullptr) {
      why_ = "it does not speak this version of Hornbeam's protocol: it is of "
             "another version of Hornbeam";
      return false;
    }
    return established_ = true;
  }
  auto e = SSL_get_error(ssl_, done);
  if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
    return true;
  explain("during the handshake");
  return false;
}

bool tls_session::receive(std::string_view bytes, std::string& plain) {
  if (!context_) {
    plain.append(bytes);
    return true;
  }
  input_ = bytes;
  if (!established_ && !shake_hands())
    return false;
  thread_local char buffer[record];
  while (established_) {
    ERR_clear_error();
    auto n = SSL_read(ssl_, buffer, record);
    if (n > 0) {
      plain.append(buffer, static_cast<std::size_t>(n));
      continue;
    }
    auto e = SSL_get_error(ssl_, n);
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
      break;
    if (e != SSL_ERROR_ZERO_RETURN)
      explain("by the peer");
    return false;
  }
  return true;
}

void tls_session::send(std::string_view plain) {
  if (!context_) {
    output_.append(plain);
    return;
  }
  while (!plain.empty()) {
    ERR_clear_error();
    auto n = SSL_write(
      ssl_, plain.data(),
      static_cast<int>(std::min(plain.size(), std::size_t{1} << 30)));
    if (n <= 0) { // the output takes everything, so the session is broken
      ERR_clear_error();
      return;
    }
    plain.remove_prefix(static_cast<std::size_t>(n));
  }
}

bool tls_session::trusted_by(const tls_context& x) const {
  if (&x == context_.get() || !context_)
    return true;
  auto* peer = SSL_get0_peer_certificate(ssl_);
  auto* check = X509_STORE_CTX_new();
  bool good = peer != nullptr && check != nullptr
              && X509_STORE_CTX_init(check, SSL_CTX_get_cert_store(x.context_),
                                     peer, SSL_get_peer_cert_chain(ssl_))
                   == 1
              && X509_verify_cert(check) == 1;
  X509_STORE_CTX_free(check);
  ERR_clear_error();
  return good;
}

void tls_session::finish() {
  if (!context_ || !established_)
    return;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

} // namespace hornbeam::runtime
