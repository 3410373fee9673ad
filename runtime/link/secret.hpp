#pragma once

#include <string>

#include "runtime/net/tls.hpp"

namespace hornbeam::runtime {

/// `$HORNBEAM_SECRET_FILE`, else `$HORNBEAM_SECRET`, as it was called before,
/// else `hornbeam/cluster.pem` in the user's folder for configuration. Empty if
/// there is no such folder.
std::string default_secret_file();

/// What nodes prove themselves with, from the file at `path`, readable for this
/// user only: private keys and certificates of which the first has its key
/// there, all strong enough and good for both sides of a connection. Makes one
/// (P-256, self-signed) if the file is not there. Every node with the same file
/// is a member; nobody else is. Raises `std::runtime_error` with what is wrong
/// and what to do.
credentials read_secret(const std::string& path);

/// Raises `std::runtime_error` if `path` names no file, and without showing it
/// if it may be the secret itself. Whether the file is there is not asked.
void require_secret_path(const std::string& path);

} // namespace hornbeam::runtime
