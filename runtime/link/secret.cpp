#include "runtime/link/secret.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/settings/home_folder.hpp"

namespace hornbeam::runtime {

namespace {

using file_ptr = std::unique_ptr<FILE, freed_by<std::fclose>>;

constexpr off_t largest_file = 1 << 20;

std::string text_in(BIO* x) {
  char* data = nullptr;
  auto n = BIO_get_mem_data(x, &data);
  return {data, static_cast<std::size_t>(n)};
}

std::string make_pem() {
  private_key_ptr key{EVP_EC_gen("P-256")};
  certificate_ptr cert{X509_new()};
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
  return text_in(out.get());
}

[[noreturn]] void fail(const std::string& path, const std::string& why) {
  throw std::runtime_error("the cluster's secret " + path + ": " + why);
}

[[noreturn]] void fail_by_system(const std::string& path,
                                 const std::string& what, int why = errno) {
  fail(path, what + ": " + std::strerror(why));
}

/// Writes beside and links: of several processes that start at once, one
/// makes the file and the others use it.
void create(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code bad;
  fs::create_directories(fs::path(path).parent_path(), bad);
  if (bad)
    fail_by_system(path, "its folder can't be made", bad.value());
  auto beside = path + ".XXXXXX";
  auto fd = ::mkostemp(beside.data(), O_CLOEXEC); // with mode 0600
  if (fd < 0)
    fail_by_system(path, "can't be made");
  auto pem = make_pem();
  auto size = ::write(fd, pem.data(), pem.size());
  int why = size < 0 ? errno : ENOSPC;
  bool written = size == static_cast<ssize_t>(pem.size());
  ::close(fd);
  if (written && ::link(beside.c_str(), path.c_str()) != 0) {
    why = errno;
    written = why == EEXIST;
  }
  ::unlink(beside.c_str());
  if (!written)
    fail_by_system(path, "can't be written", why);
}

void check_access(const std::string& path, const struct stat& file) {
  if (S_ISDIR(file.st_mode))
    fail(path, "is a folder");
  if (!S_ISREG(file.st_mode))
    fail(path, "is no file");
  if (file.st_uid != ::geteuid() && file.st_uid != 0)
    fail(path, "belongs to another user");
  // What belongs to root may be shown to a group: so secrets are handed to
  // services.
  auto [others, right] = file.st_uid == 0 ? std::pair{037U, "640"}
                                          : std::pair{077U, "600"};
  if ((file.st_mode & others) != 0)
    fail(path, "can be read by others; run: chmod " + std::string{right} + " "
                 + path);
}

/// What is in the file at `path`, which is made if it isn't there.
std::string read_file(const std::string& path) {
  auto open = [&] {
    return ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  };
  int fd = open();
  if (fd < 0 && errno == ENOENT) {
    create(path);
    fd = open();
  }
  if (fd < 0)
    fail_by_system(path, "can't be read");
  file_ptr file{::fdopen(fd, "r")};
  struct stat info {};
  if (!file || ::fstat(fd, &info) != 0)
    fail_by_system(path, "can't be read");
  check_access(path, info);
  if (info.st_size > largest_file)
    fail(path, "is too large for keys and certificates");
  std::string out(static_cast<std::size_t>(info.st_size), '\0');
  out.resize(std::fread(out.data(), 1, out.size(), file.get()));
  if (std::ferror(file.get()) != 0)
    fail_by_system(path, "can't be read");
  return out;
}

// -- what the file holds -----------------------------------------------------

bio_ptr reader_of(const std::string& pem) {
  return bio_ptr{BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))};
}

std::vector<certificate_ptr> read_certificates(const std::string& pem) {
  std::vector<certificate_ptr> out;
  auto from = reader_of(pem);
  while (auto* x = PEM_read_bio_X509(from.get(), nullptr, nullptr, nullptr))
    out.emplace_back(x);
  return out;
}

/// The key of `x`, if it is in the file.
private_key_ptr read_key_of(X509* x, const std::string& pem) {
  auto from = reader_of(pem);
  // Nobody is there who could type a password.
  auto none = [](char*, int, int, void*) { return -1; };
  while (private_key_ptr key{
    PEM_read_bio_PrivateKey(from.get(), nullptr, none, nullptr)})
    if (X509_check_private_key(x, key.get()) == 1)
      return key;
  return nullptr;
}

/// Whether reading has ended with the file, rather than with what is broken.
bool ended_with_file() {
  auto e = ERR_peek_last_error();
  return ERR_GET_LIB(e) == ERR_LIB_PEM
         && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

std::string text_of(const ASN1_TIME* x) {
  bio_ptr out{BIO_new(BIO_s_mem())};
  ASN1_TIME_print(out.get(), x);
  return text_in(out.get());
}

/// Why nobody should be let in, or asked to let us in, by it; empty if nothing
/// speaks against it.
std::string unfit(X509* x) {
  auto* key = X509_get0_pubkey(x);
  if (!key)
    return "has a key that OpenSSL doesn't know";
  auto kind = EVP_PKEY_get_base_id(key);
  bool factors = kind == EVP_PKEY_RSA || kind == EVP_PKEY_RSA_PSS
                 || kind == EVP_PKEY_DSA;
  auto bits = EVP_PKEY_get_bits(key);
  auto least = factors ? 2048 : 224;
  if (bits < least)
    return "has a key that is too weak: " + std::to_string(bits)
           + " bits, and such keys need at least " + std::to_string(least);
  constexpr auto both = XKU_SSL_SERVER | XKU_SSL_CLIENT;
  if ((X509_get_extended_key_usage(x) & both) != both)
    return "may not be used by both sides of a connection: its extended key "
           "usage must have clientAuth and serverAuth";
  if ((X509_get_key_usage(x) & KU_DIGITAL_SIGNATURE) == 0)
    return "may not be used for TLS: its key usage must have digitalSignature";
  return {};
}

/// Why it can't be shown today.
std::string untimely(X509* x) {
  if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
    return "has expired: it was valid until " + text_of(X509_get0_notAfter(x));
  if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
    return "is not valid yet, only from " + text_of(X509_get0_notBefore(x));
  return {};
}

credentials read_contents(const std::string& path, const std::string& pem) {
  struct clean_errors {
    clean_errors() { ERR_clear_error(); }
    ~clean_errors() { ERR_clear_error(); }
  } for_others;
  credentials out;
  out.certificates = read_certificates(pem);
  auto& certificates = out.certificates;
  if (!ended_with_file())
    fail(path, "the certificate number "
                 + std::to_string(certificates.size() + 1)
                 + " in it is broken");
  if (!certificates.empty())
    out.key = read_key_of(certificates.front().get(), pem);
  if (!out.key)
    fail(path, "holds no private key with its certificate, one without a "
               "password; remove it to have a new one made, or copy it from "
               "another node");
  for (std::size_t i = 0; i < certificates.size(); ++i) {
    auto* x = certificates[i].get();
    auto why = unfit(x);
    // The others are let in when their time is.
    if (why.empty() && i == 0)
      why = untimely(x);
    if (!why.empty())
      fail(path,
           "the certificate number " + std::to_string(i + 1) + " in it " + why);
  }
  return out;
}

/// Something that begins as paths do, or that is there.
bool names_file(const std::string& x) {
  if (x.size() >= PATH_MAX || x.find("-----BEGIN") != std::string::npos
      || std::any_of(x.begin(), x.end(),
                     [](unsigned char c) { return std::iscntrl(c); }))
    return false;
  return x.starts_with('/') || x.starts_with("./") || x.starts_with("../")
         || ::access(x.c_str(), F_OK) == 0;
}

} // namespace

std::string default_secret_file() {
  for (auto* name : {"HORNBEAM_SECRET_FILE", "HORNBEAM_SECRET"})
    if (const char* path = std::getenv(name); path && *path)
      return path;
  if (const char* dir = std::getenv("XDG_CONFIG_HOME"); dir && *dir == '/')
    return std::string{dir} + "/hornbeam/cluster.pem";
  auto home = home_folder();
  return home.empty() ? "" : home + "/.config/hornbeam/cluster.pem";
}

void require_secret_path(const std::string& path) {
  if (path.empty())
    throw std::runtime_error(
      "there is no place for the cluster's secret: HOME is not set, and passwd "
      "has no home folder of this user; set HORNBEAM_SECRET_FILE");
  if (!names_file(path))
    throw std::runtime_error(
      "what HORNBEAM_SECRET_FILE or the configuration gives as the file of the "
      "cluster's secret is no path of a file (it is not shown here, as it may "
      "be the secret itself); one in the current folder begins with ./");
}

credentials read_secret(const std::string& path) {
  require_secret_path(path);
  return read_contents(path, read_file(path));
}

} // namespace hornbeam::runtime
