#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/link/secret.hpp"

using namespace hornbeam::runtime;
using Catch::Contains;

namespace fs = std::filesystem;

namespace {

/// A folder, and variables of the environment that are as before afterwards.
struct fixture {
  fixture() {
    std::string pattern = fs::temp_directory_path() / "hornbeam-secret-XXXXXX";
    folder = ::mkdtemp(pattern.data());
    for (auto* x :
         {"HORNBEAM_SECRET_FILE", "HORNBEAM_SECRET", "XDG_CONFIG_HOME", "HOME"})
      set(x, nullptr);
  }
  ~fixture() {
    for (auto& [name, value] : before)
      value ? ::setenv(name.c_str(), value->c_str(), 1)
            : ::unsetenv(name.c_str());
    fs::current_path(here);
    fs::remove_all(folder);
  }
  void set(const std::string& name, const char* value) {
    auto* now = std::getenv(name.c_str());
    before.emplace(name, now ? std::make_unique<std::string>(now) : nullptr);
    value ? ::setenv(name.c_str(), value, 1) : ::unsetenv(name.c_str());
  }
  std::string file(const std::string& name = "secret.pem") const {
    return folder + "/" + name;
  }
  std::string put(const std::string& text, ::mode_t mode = 0600) const {
    std::ofstream{file()} << text;
    ::chmod(file().c_str(), mode);
    return file();
  }
  std::string folder;
  fs::path here = fs::current_path();
  std::map<std::string, std::unique_ptr<std::string>> before;
};

std::string text_in(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream{path}.rdbuf();
  return out.str();
}

using key_ptr = std::shared_ptr<EVP_PKEY>;

key_ptr elliptic(const char* curve = "P-256") {
  return {EVP_EC_gen(curve), EVP_PKEY_free};
}

key_ptr rsa(unsigned bits) {
  return {EVP_RSA_gen(bits), EVP_PKEY_free};
}

/// What a certificate of a test is like.
struct made_as {
  long from = -3600; ///< seconds from now
  long until = 3600;
  const char* extended_usage = nullptr;
  const char* usage = nullptr;
};

void extend(X509* x, int what, const char* value) {
  if (value == nullptr)
    return;
  auto* extension = X509V3_EXT_conf_nid(nullptr, nullptr, what, value);
  REQUIRE(extension != nullptr);
  X509_add_ext(x, extension, -1);
  X509_EXTENSION_free(extension);
}

std::string text_of(const std::shared_ptr<BIO>& x) {
  char* data = nullptr;
  auto n = BIO_get_mem_data(x.get(), &data);
  return {data, static_cast<std::size_t>(n)};
}

std::string pem_of(const key_ptr& key) {
  std::shared_ptr<BIO> out{BIO_new(BIO_s_mem()), BIO_free_all};
  PEM_write_bio_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr,
                           nullptr);
  return text_of(out);
}

std::string certificate(const key_ptr& key, const made_as& as = {}) {
  std::shared_ptr<X509> x{X509_new(), X509_free};
  X509_set_version(x.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x.get()), 7);
  X509_gmtime_adj(X509_getm_notBefore(x.get()), as.from);
  X509_gmtime_adj(X509_getm_notAfter(x.get()), as.until);
  X509_set_pubkey(x.get(), key.get());
  extend(x.get(), NID_ext_key_usage, as.extended_usage);
  extend(x.get(), NID_key_usage, as.usage);
  bool edwards = EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_ED25519;
  REQUIRE(X509_sign(x.get(), key.get(), edwards ? nullptr : EVP_sha256()) != 0);
  std::shared_ptr<BIO> out{BIO_new(BIO_s_mem()), BIO_free_all};
  PEM_write_bio_X509(out.get(), x.get());
  return text_of(out);
}

std::string both(const key_ptr& key, const made_as& as = {}) {
  return pem_of(key) + certificate(key, as);
}

} // namespace

// -- where it is --------------------------------------------------------------

TEST_CASE_METHOD(fixture,
                 "the variables say where the secret is, the documented "
                 "one first") {
  set("HORNBEAM_SECRET", "/old");
  CHECK(default_secret_file() == "/old");
  set("HORNBEAM_SECRET_FILE", "/new");
  CHECK(default_secret_file() == "/new");
}

TEST_CASE_METHOD(fixture, "else it is in the user's folder for configuration") {
  set("HOME", "/home/me");
  CHECK(default_secret_file() == "/home/me/.config/hornbeam/cluster.pem");
  set("XDG_CONFIG_HOME", "/etc/mine");
  CHECK(default_secret_file() == "/etc/mine/hornbeam/cluster.pem");
  set("XDG_CONFIG_HOME", "relative");
  CHECK(default_secret_file() == "/home/me/.config/hornbeam/cluster.pem");
}

TEST_CASE_METHOD(fixture, "without HOME the entry in passwd counts, never the "
                          "current folder") {
  for (auto* home : {static_cast<const char*>(nullptr), "", "relative"}) {
    set("HOME", home);
    auto path = default_secret_file();
    CHECK((path.empty() || path[0] == '/'));
  }
  CHECK_THROWS_WITH(read_secret(""), Contains("HORNBEAM_SECRET_FILE"));
}

TEST_CASE_METHOD(fixture,
                 "a secret is not shown that was given in place of its "
                 "path") {
  fs::current_path(folder);
  for (std::string x : {"-----BEGIN PRIVATE KEY-----MIG", "MIG\nHAg", "s3cr3t",
                        "MIGHAgEA/MBMGByq", "a\x01/b"}) {
    CHECK_THROWS_WITH(read_secret(x), Contains("HORNBEAM_SECRET_FILE")
                                        && Contains("not shown")
                                        && !Contains(x));
    CHECK_THROWS_WITH(read_secret(std::string(5000, 'x') + x),
                      !Contains("xxx"));
  }
  CHECK(fs::is_empty(folder));
  read_secret("./mine.pem");
  read_secret("mine.pem"); // it is there
}

// -- the file -----------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a secret is made once, for its user only") {
  auto path = file("a/b/secret.pem");
  read_secret(path);
  auto text = text_in(path);
  read_secret(path);
  CHECK(text_in(path) == text);
  CHECK((fs::status(path).permissions() & fs::perms::mask)
        == (fs::perms::owner_read | fs::perms::owner_write));
  // Nothing lies beside it.
  CHECK(std::distance(fs::directory_iterator{file("a/b")}, {}) == 1);
}

TEST_CASE_METHOD(fixture,
                 "what can't be made or read is said with the system's "
                 "reason") {
  put("x");
  auto below = file() + "/secret.pem";
  CHECK_THROWS_WITH(read_secret(below),
                    Contains(below) && Contains("Not a directory"));
  CHECK_THROWS_WITH(read_secret(folder),
                    "the cluster's secret " + folder + ": is a folder");
  auto pipe = file("pipe");
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THROWS_WITH(read_secret(pipe), Contains("is no file"));
}

TEST_CASE_METHOD(fixture, "a file that others can read is refused with what to "
                          "do") {
  auto pem = both(elliptic());
  for (::mode_t mode : {0600U, 0400U, 0700U})
    CHECK_NOTHROW(read_secret(put(pem, mode)));
  for (::mode_t mode : {0644U, 0604U, 0660U})
    CHECK_THROWS_WITH(read_secret(put(pem, mode)),
                      Contains("can be read by others; run: chmod 6"));
  // One of a group's may be, if it is root who shows it.
  put(pem, 0640);
  if (::geteuid() == 0)
    CHECK_NOTHROW(read_secret(file()));
  else
    CHECK_THROWS_WITH(read_secret(file()), Contains("chmod 600"));
  if (::chown(file().c_str(), 1, 1) == 0)
    CHECK_THROWS_WITH(read_secret(file()), Contains("another user"));
}

// -- what it holds ------------------------------------------------------------

TEST_CASE_METHOD(fixture, "a key and its certificate are a secret in either "
                          "order and of any good kind") {
  key_ptr edwards{EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"),
                  EVP_PKEY_free};
  for (auto& key :
       {elliptic(), elliptic("P-384"), elliptic("P-224"), rsa(2048), edwards}) {
    CHECK_NOTHROW(read_secret(put(both(key))));
    CHECK_NOTHROW(read_secret(put(certificate(key) + pem_of(key))));
  }
}

TEST_CASE_METHOD(fixture, "a file may hold several certificates and keys, of "
                          "which the first certificate has its key") {
  auto a = elliptic();
  auto b = rsa(2048);
  auto c = elliptic("P-384");
  CHECK_NOTHROW(read_secret(put(both(a) + both(b) + both(c))));
  CHECK_NOTHROW(read_secret(put(both(a) + certificate(b))));
  CHECK_NOTHROW(read_secret(put(certificate(c) + pem_of(a) + certificate(b)
                                + pem_of(b) + pem_of(c) + "Text between.\n")));
  CHECK_THROWS_WITH(read_secret(put(certificate(b) + both(a))),
                    Contains("holds no private key with its certificate"));
}

TEST_CASE_METHOD(fixture, "what is no secret is refused with its path and what "
                          "is wrong") {
  auto key = elliptic();
  for (auto& x : {std::string{}, std::string{"no PEM"}, pem_of(key),
                  certificate(key), pem_of(elliptic()) + certificate(key)})
    CHECK_THROWS_WITH(read_secret(put(x)),
                      Contains(file())
                        && Contains("holds no private key with its "
                                    "certificate"));
  auto half = certificate(elliptic());
  half.resize(half.size() / 2);
  CHECK_THROWS_WITH(read_secret(put(both(key) + half)),
                    Contains("certificate number 2 in it is broken"));
  CHECK_THROWS_WITH(read_secret(put(std::string(2 << 20, 'x'))),
                    Contains("too large"));
}

TEST_CASE_METHOD(fixture,
                 "a key with a password is refused, and nobody is asked "
                 "for one") {
  auto key = elliptic();
  std::shared_ptr<BIO> out{BIO_new(BIO_s_mem()), BIO_free_all};
  std::string password = "pass";
  PEM_write_bio_PrivateKey(
    out.get(), key.get(), EVP_aes_128_cbc(),
    reinterpret_cast<const unsigned char*>(password.data()), 4, nullptr,
    nullptr);
  CHECK_THROWS_WITH(read_secret(put(text_of(out) + certificate(key))),
                    Contains("without a password"));
}

TEST_CASE_METHOD(fixture,
                 "a certificate whose time is over, or has not come, is "
                 "refused as the one that is shown") {
  auto a = elliptic();
  auto b = elliptic();
  made_as old{-7200, -3600};
  made_as next{3600, 7200};
  CHECK_THROWS_WITH(read_secret(put(both(a, old))), Contains(file())
                                                      && Contains("has expired")
                                                      && Contains("GMT"));
  CHECK_THROWS_WITH(read_secret(put(both(a, next))),
                    Contains(file()) && Contains("not valid yet"));
  CHECK_NOTHROW(read_secret(put(both(a) + both(b, old) + both(b, next))));
}

TEST_CASE_METHOD(fixture, "weak keys are refused, those that are only accepted "
                          "too") {
  CHECK_THROWS_WITH(read_secret(put(both(rsa(1024)))),
                    Contains("too weak: 1024 bits")
                      && Contains("at least 2048"));
  CHECK_THROWS_WITH(read_secret(put(both(rsa(2040)))), Contains("too weak"));
  CHECK_THROWS_WITH(read_secret(put(both(elliptic("P-192")))),
                    Contains("too weak: 192 bits") && Contains("224"));
  CHECK_THROWS_WITH(read_secret(put(both(elliptic()) + both(rsa(1024)))),
                    Contains("certificate number 2")
                      && Contains("too weak: 1024 bits"));
}

TEST_CASE_METHOD(fixture, "a certificate for another purpose is refused") {
  auto key = elliptic();
  for (auto* usage : {"serverAuth", "clientAuth", "codeSigning"})
    CHECK_THROWS_WITH(read_secret(put(both(key, {-60, 60, usage}))),
                      Contains("clientAuth and serverAuth"));
  CHECK_NOTHROW(
    read_secret(put(both(key, {-60, 60, "serverAuth,clientAuth"}))));
  CHECK_THROWS_WITH(
    read_secret(put(both(key, {-60, 60, nullptr, "keyCertSign"}))),
    Contains("digitalSignature"));
  CHECK_NOTHROW(read_secret(
    put(both(key, {-60, 60, nullptr, "digitalSignature,keyCertSign"}))));
}
