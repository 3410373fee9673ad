#pragma once

#include <string>

struct stat;

namespace hornbeam::runtime {

/// The folder for what lives as long as this host runs: the first one of
/// `$RUNTIME_DIRECTORY`, else `/dev/shm/hornbeam-UID`, which is made with mode
/// 0700. Raises `std::runtime_error` if that can't be, or if it belongs to
/// somebody else.
std::string runtime_directory();
/// The same for who only looks: makes nothing, so it may not be there.
std::string find_runtime_directory();

/// Makes a folder with mode 0700 unless it is there; raises
/// `std::runtime_error` if it can't, or if it belongs to somebody else.
void make_private_folder(const std::string& path);
/// Raises `std::runtime_error` unless what was found at `path` is a folder of
/// this user.
void require_private_folder(const std::string& path, const struct stat& found);

} // namespace hornbeam::runtime
