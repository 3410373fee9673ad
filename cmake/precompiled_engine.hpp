// What most files of the engine include and what is dear to parse: the standard
// library, terms, and how services are called. A file still includes what it
// uses: the debug preset builds without this.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/call/service.hpp"
#include "runtime/term/term.hpp"
