#include "runtime/table/sha256.hpp"

#include <memory>
#include <stdexcept>

#include <openssl/evp.h>

namespace hornbeam::runtime {

namespace {

/// What OpenSSL looks up and makes each time unless it is kept.
struct hasher {
  std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> sha256{
    EVP_MD_fetch(nullptr, "SHA256", nullptr), EVP_MD_free};
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{
    EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

} // namespace

sha256_digest sha256(std::string_view x) {
  thread_local hasher own;
  sha256_digest out;
  auto* c = own.context.get();
  auto* to = reinterpret_cast<unsigned char*>(out.data());
  if (c == nullptr || EVP_DigestInit_ex2(c, own.sha256.get(), nullptr) != 1
      || EVP_DigestUpdate(c, x.data(), x.size()) != 1
      || EVP_DigestFinal_ex(c, to, nullptr) != 1)
    throw std::runtime_error("no SHA-256: OpenSSL failed");
  return out;
}

} // namespace hornbeam::runtime
