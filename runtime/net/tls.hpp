#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/types.h>

#include "runtime/net/openssl_ptr.hpp"

namespace hornbeam::runtime {

/// What the nodes of a cluster show each other, and whom they let in.
struct credentials {
  private_key_ptr key;                       ///< of the first certificate
  std::vector<certificate_ptr> certificates; ///< all of them are accepted
};

/// What all connections of a node share: no file is opened for one.
class tls_context {
public:
  /// Raises `std::runtime_error` with OpenSSL's reason.
  static std::shared_ptr<const tls_context> make(const credentials& x);
  ~tls_context();
  tls_context(const tls_context&) = delete;
  tls_context& operator=(const tls_context&) = delete;

private:
  friend class tls_session;
  tls_context() = default;
  SSL_CTX* context_ = nullptr;
};

/// One side of a TLS 1.3 connection between bytes and bytes: it knows no
/// socket. One thread at a time.
class tls_session {
public:
  enum class role : bool { client, server };

  /// Without a context, nothing is encrypted.
  tls_session(std::shared_ptr<const tls_context> context, role x);
  ~tls_session();
  tls_session(const tls_session&) = delete;
  tls_session& operator=(const tls_session&) = delete;

  /// Both sides have shown who they are.
  bool established() const noexcept { return established_; }
  /// Takes what the socket had, and appends what it says to `plain`. False if
  /// the connection is over: `why`, or the peer has ended it.
  bool receive(std::string_view bytes, std::string& plain);
  /// Begins the handshake.
  bool start() { return receive({}, unused_); }
  /// Encrypts all of it. Only once it is established.
  void send(std::string_view plain);
  /// Says to the peer that nothing follows.
  void finish();
  /// For the socket; whoever sends it clears it.
  std::string& output() noexcept { return output_; }
  /// Whether the peer could show its certificate there as well.
  bool trusted_by(const tls_context& x) const;
  /// What went wrong, in words, or empty.
  const std::string& why() const noexcept { return why_; }

private:
  static int read_input(BIO* x, char* to, int n);
  static int write_output(BIO* x, const char* from, int n);
  static long control(BIO* x, int what, long n, void* p);
  static const BIO_METHOD* method();

  bool shake_hands();
  void explain(const char* during);

  const std::shared_ptr<const tls_context> context_;
  SSL* ssl_ = nullptr;
  std::string_view input_;
  std::string output_;
  std::string unused_;
  std::string why_;
  bool established_ = false;
};

} // namespace hornbeam::runtime
