#include "runtime/table/snapshot.hpp"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <unistd.h>

#include "runtime/table/sha256.hpp"
#include "runtime/term/wire.hpp"

namespace hornbeam::runtime {

namespace {

constexpr std::string_view magic = "hornbtbl";
constexpr std::uint32_t current_version = 1;

struct saved_entry {
  term key;
  term value;
  std::int64_t expires = 0;

  template <class Archive>
  void serialize(Archive& ar, unsigned) {
    ar& key& value& expires;
  }
};

struct saved_table {
  std::string name;
  std::string kind;
  std::vector<saved_entry> entries;

  template <class Archive>
  void serialize(Archive& ar, unsigned) {
    ar& name& kind& entries;
  }
};

std::int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
           std::chrono::system_clock::now().time_since_epoch())
    .count();
}

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw failed{error_code::bad_value,
               path + ": " + why + "; the table is as it was"};
}

/// A file that is there under its name once it is complete, or not at all.
class new_file {
public:
  explicit new_file(const std::string& path) : path_(path) {
    static std::atomic<unsigned> count{0};
    temporary_ = path + ".new-" + std::to_string(::getpid()) + "-"
                 + std::to_string(count.fetch_add(1));
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                 0600);
    if (fd_ < 0)
      fail();
  }
  ~new_file() {
    if (fd_ >= 0)
      ::close(fd_);
    if (!done_)
      ::unlink(temporary_.c_str());
  }
  new_file(const new_file&) = delete;
  new_file& operator=(const new_file&) = delete;

  void write(std::string_view x) {
    while (!x.empty()) {
      auto n = ::write(fd_, x.data(), x.size());
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        fail();
      x.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  void finish() {
    if (::fsync(fd_) != 0 || ::close(std::exchange(fd_, -1)) != 0
        || ::rename(temporary_.c_str(), path_.c_str()) != 0)
      fail();
    done_ = true;
    // The new name is on the disk once the folder is.
    auto folder = std::filesystem::path{path_}.parent_path();
    auto dir = ::open(folder.empty() ? "." : folder.c_str(),
                      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
      return;
    ::fsync(dir);
    ::close(dir);
  }

private:
  [[noreturn]] void fail() {
    auto why = std::strerror(errno);
    throw failed{error_code::internal, path_ + ": can't be written: " + why};
  }

  const std::string path_;
  std::string temporary_;
  int fd_ = -1;
  bool done_ = false;
};

std::string read_all(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  std::string out{std::istreambuf_iterator<char>{in}, {}};
  if (!in.is_open() || in.bad())
    throw failed{error_code::internal,
                 path + ": can't be read: " + std::strerror(errno)};
  return out;
}

bool is_bag(std::string_view kind) {
  return kind == name_of(table_kind::bag)
         || kind == name_of(table_kind::duplicate_bag);
}

} // namespace

void write_snapshot(const std::string& path, const std::string& name,
                    table_kind kind, const std::vector<table_entry>& entries) {
  saved_table saved{name, name_of(kind), {}};
  saved.entries.reserve(entries.size());
  auto now = wall_ms();
  for (auto& x : entries)
    saved.entries.push_back(
      {x.key, x.value, x.left_ms == 0 ? 0 : now + x.left_ms});
  std::string body;
  wire_writer{body} << saved;
  auto sum = sha256(body);
  std::string head{magic};
  wire_writer out{head};
  out << current_version << body.size();
  out.save_binary(sum.data(), sum.size());
  new_file file{path};
  file.write(head);
  file.write(body);
  file.finish();
}

std::vector<table_entry> read_snapshot(const std::string& path,
                                       const std::string& into,
                                       table_kind kind) {
  auto bytes = read_all(path);
  saved_table saved;
  if (!bytes.starts_with(magic))
    refuse(path, "this is no snapshot of a table");
  try {
    std::string_view all{bytes};
    wire_reader in{all.substr(magic.size())};
    std::uint32_t version = 0;
    std::uint64_t size = 0;
    sha256_digest sum;
    in >> version;
    if (version > current_version)
      refuse(path, "a snapshot of version " + std::to_string(version)
                     + ", and this program knows versions up to "
                     + std::to_string(current_version));
    in >> size;
    in.load_binary(sum.data(), sum.size());
    if (in.remaining() != size)
      refuse(path, "the snapshot is damaged: " + std::to_string(in.remaining())
                     + " bytes where there should be " + std::to_string(size));
    auto body = all.substr(all.size() - size);
    if (sha256(body) != sum)
      refuse(path, "the snapshot is damaged: its checksum is another");
    wire_reader reader{body};
    reader >> saved;
    reader.finish();
  } catch (const decode_error& e) {
    refuse(path, std::string{"the snapshot is damaged: "} + e.what());
  }
  if (is_bag(saved.kind) && kind < table_kind::bag)
    refuse(path, "a snapshot of a " + saved.kind + ", and '" + into + "' is a "
                   + name_of(kind));
  std::vector<table_entry> out;
  out.reserve(saved.entries.size());
  auto now = wall_ms();
  for (auto& x : saved.entries)
    if (x.expires == 0 || x.expires > now)
      out.push_back({std::move(x.key), std::move(x.value),
                     x.expires == 0 ? 0 : x.expires - now});
  return out;
}

} // namespace hornbeam::runtime
