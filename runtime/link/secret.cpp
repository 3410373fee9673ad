#include "runtime/link/secret.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <stdexcept>

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

namespace hornbeam::runtime {

namespace {

template <auto F>
struct deleter {
  template <class T>
  void operator()(T* p) const {
    F(p);
  }
};
using key_ptr = std::unique_ptr<EVP_PKEY, deleter<EVP_PKEY_free>>;
using cert_ptr = std::unique_ptr<X509, deleter<X509_free>>;
using bio_ptr = std::unique_ptr<BIO, deleter<BIO_free_all>>;

std::string make_pem() {
  key_ptr key{EVP_EC_gen("P-256")};
  cert_ptr cert{X509_new()};
  if (!key || !cert)
    throw std::runtime_error("OpenSSL can't make a key");
  X509_set_version(cert.get(), 2);
  std::random_device random;
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert.get()),
                          (std::uint64_t{random()} << 31) | random());
  // A day back: clocks of a cluster's machines differ.
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), -24L * 3600);
  X509_time_adj_ex(X509_getm_notAfter(cert.get()), 365 * 100, 0, nullptr);
  X509_set_pubkey(cert.get(), key.get());
  auto* name = X509_get_subject_name(cert.get());
  X509_NAME_add_entry_by_txt(
    name, "CN", MBSTRING_ASC,
    reinterpret_cast<const unsigned char*>("hornbeam cluster"), -1, -1, 0);
  X509_set_issuer_name(cert.get(), name);
  if (X509_sign(cert.get(), key.get(), EVP_sha256()) == 0)
    throw std::runtime_error("OpenSSL can't sign a certificate");
  bio_ptr out{BIO_new(BIO_s_mem())};
  PEM_write_bio_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr,
                           nullptr);
  PEM_write_bio_X509(out.get(), cert.get());
  char* data = nullptr;
  auto n = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<std::size_t>(n)};
}

[[noreturn]] void fail(const std::string& path, const std::string& why) {
  throw std::runtime_error("the cluster's secret " + path + ": " + why);
}

/// Writes beside and links: of several processes that start at once, one
/// makes the file and the others use it.
void create(const std::string& path) {
  std::error_code ignored;
  auto folder = std::filesystem::path(path).parent_path();
  if (!folder.empty())
    std::filesystem::create_directories(folder, ignored);
  auto beside = path + "." + std::to_string(::getpid());
  auto fd = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                   0600);
  if (fd < 0)
    fail(path, std::string{"can't be made: "} + std::strerror(errno));
  auto pem = make_pem();
  bool written = ::write(fd, pem.data(), pem.size())
                 == static_cast<ssize_t>(pem.size());
  ::close(fd);
  if (written && ::link(beside.c_str(), path.c_str()) != 0)
    written = errno == EEXIST;
  ::unlink(beside.c_str());
  if (!written)
    fail(path, "can't be written");
}

} // namespace

std::string default_secret_file() {
  if (const char* path = std::getenv("HORNBEAM_SECRET"); path && *path)
    return path;
  if (const char* dir = std::getenv("XDG_CONFIG_HOME"); dir && *dir)
    return std::string{dir} + "/hornbeam/cluster.pem";
  const char* home = std::getenv("HOME");
  return std::string{home && *home ? home : "."}
         + "/.config/hornbeam/cluster.pem";
}

void ensure_secret(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    create(path);
    if (::stat(path.c_str(), &info) != 0)
      fail(path, "can't be read");
  }
  if (info.st_uid != ::geteuid() && info.st_uid != 0)
    fail(path, "belongs to another user");
  if ((info.st_mode & 077) != 0)
    fail(path, "can be read by others; run: chmod 600 " + path);
  std::unique_ptr<FILE, deleter<std::fclose>> file{
    std::fopen(path.c_str(), "re")};
  if (!file)
    fail(path, "can't be read");
  key_ptr key{PEM_read_PrivateKey(file.get(), nullptr, nullptr, nullptr)};
  std::rewind(file.get());
  cert_ptr cert{PEM_read_X509(file.get(), nullptr, nullptr, nullptr)};
  if (!key || !cert || X509_check_private_key(cert.get(), key.get()) != 1)
    fail(path, "holds no private key with its certificate; remove it to have "
               "a new one made, or copy it from another node");
}

} // namespace hornbeam::runtime
