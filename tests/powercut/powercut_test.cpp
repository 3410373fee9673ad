#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <random>
#include <thread>

#include "lmdb_fixture.hpp"
#include "recorder.hpp"

using namespace hornbeam::runtime;
using namespace hornbeam::testing;

// A power cut, as a disk sees it: what was synced is there; of what was
// written since, each sector of 512 bytes may be there or not, in any order.
// A durable table is written to while all that LMDB does to its file is
// recorded; then, for each moment of the recording, files are made as a cut
// at that moment could leave them, and opened. (A durable file is never
// written through its map, so nothing gets to the disk that is not recorded.)

namespace {

constexpr std::size_t sector = 512;

table_options durable(const lmdb_folder& folder, const std::string& name) {
  auto out = folder.options(name);
  out.durable = table_durability::always;
  out.map_bytes = 8 << 20;
  return out;
}

std::string contents(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

void apply(std::string& disk, std::uint64_t offset, std::string_view bytes) {
  if (disk.size() < offset + bytes.size())
    disk.resize(offset + bytes.size());
  std::memcpy(disk.data() + offset, bytes.data(), bytes.size());
}

/// What was acknowledged after so many events of the disk.
struct acknowledgement {
  std::size_t events;
  std::int64_t counter;
};

/// The table in `disk` holds all up to `least`, nothing beyond `most`, and no
/// half of anything.
void check_disk(const lmdb_folder& folder, const std::string& disk,
                std::int64_t least, std::int64_t most) {
  auto options = durable(folder, "cut");
  std::filesystem::remove(options.path);
  std::ofstream{options.path, std::ios::binary} << disk;
  auto t = folder.open(options);
  auto counter = t->get(term::string("counter"));
  auto value = counter ? counter->as_int() : 0;
  REQUIRE(value >= least);
  REQUIRE(value <= most);
  // Written in the same transaction as the counter.
  auto twin = t->get(term::string("twin"));
  REQUIRE((twin ? twin->as_int() : 0) == value);
  for (auto& [key, x] : t->items())
    if (x.is(term::kind::string))
      REQUIRE(x.text().find_first_not_of(x.text()[0]) == std::string::npos);
  t->set(term::string("after"), term{1});
  REQUIRE(t->contains(term::string("after")));
}

} // namespace

TEST_CASE("a durable table has all that was acknowledged after a power cut") {
  auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 gen{seed};
  lmdb_folder folder;
  auto options = durable(folder, "t");
  auto t = folder.open(options);
  auto start = contents(options.path);
  record(options.path);
  std::vector<acknowledgement> acknowledged{{0, 0}};
  for (std::int64_t i = 1; i <= 60; ++i) {
    t->set_many({{term::string("counter"), term{i}},
                 {term::string("twin"), term{i}},
                 {term{static_cast<std::int64_t>(gen() % 20)},
                  term::string(std::string(gen() % 20'000 + 1,
                                           static_cast<char>('a' + i % 26)))}});
    acknowledged.push_back({recorded(), i});
    if (i % 7 == 0)
      t->erase(term{static_cast<std::int64_t>(gen() % 20)});
  }
  auto last = acknowledged.back().counter;
  auto events = stop_recording();
  REQUIRE(events.size() > 100);

  auto disk = start;                     // what must be there
  std::vector<const disk_event*> unsure; // what may
  auto random_cut = [&](int percent) {
    auto out = disk;
    for (auto* x : unsure)
      for (std::size_t at = 0; at < x->bytes.size(); at += sector)
        if (static_cast<int>(gen() % 100) < percent)
          apply(out, x->offset + at,
                std::string_view{x->bytes}.substr(at, sector));
    return out;
  };
  for (std::size_t i = 0; i <= events.size(); ++i) {
    // The cut comes right before event i.
    std::int64_t least = 0;
    for (auto& x : acknowledged)
      if (x.events <= i)
        least = x.counter;
    auto most = std::min(least + 1, last);
    for (int percent : {0, 20, 50, 80, 100})
      check_disk(folder, random_cut(percent), least, most);
    if (i == events.size())
      break;
    auto& x = events[i];
    if (x.what == disk_event::kind::write) {
      unsure.push_back(&x);
      continue;
    }
    if (x.what == disk_event::kind::sync) {
      for (auto* w : unsure)
        apply(disk, w->offset, w->bytes);
      unsure.clear();
      continue;
    }
    // On its way, only a part of it is there; when it returns, all is.
    unsure.push_back(&x);
    for (int percent : {30, 70})
      check_disk(folder, random_cut(percent), least, most);
    unsure.pop_back();
    apply(disk, x.offset, x.bytes);
  }
}

TEST_CASE("writers of a durable table share syncs") {
  lmdb_folder folder;
  auto options = durable(folder, "t");
  auto t = folder.open(options);
  record(options.path);
  constexpr int threads = 8;
  constexpr int each = 50;
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i)
    all.emplace_back([&] {
      for (int k = 0; k < each; ++k)
        t->update_counter(term::string("n"), term{1});
    });
  for (auto& x : all)
    x.join();
  CHECK(*t->get(term::string("n")) == term{threads * each});
  auto events = stop_recording();
  auto syncs = std::count_if(events.begin(), events.end(), [](auto& x) {
    return x.what == disk_event::kind::sync;
  });
  CHECK(syncs > 0);
  CHECK(syncs <= std::ptrdiff_t{threads} * each);
}

TEST_CASE("of writers that share a commit, only who fails is told") {
  lmdb_folder folder;
  auto t = folder.open(durable(folder, "t"));
  t->set(term::string("text"), term::string("x"));
  std::vector<std::thread> all;
  std::atomic<int> failures{0};
  for (int i = 0; i < 8; ++i)
    all.emplace_back([&, i] {
      for (int k = 0; k < 20; ++k) {
        try {
          t->update_counter(term::string(i % 2 == 0 ? "text" : "n"), term{1});
        } catch (const bad_term&) {
          ++failures;
        }
      }
    });
  for (auto& x : all)
    x.join();
  CHECK(failures == 80);
  CHECK(*t->get(term::string("n")) == term{80});
  CHECK(t->get(term::string("text"))->text() == "x");
}
