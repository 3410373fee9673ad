#pragma once

#include <string>

namespace hornbeam::runtime {

/// `$HORNBEAM_SECRET`, else `hornbeam/cluster.pem` in the user's folder for
/// configuration.
std::string default_secret_file();

/// Makes sure that `path` holds a private key and a certificate that only
/// this user can read, making both (P-256, self-signed) if the file is not
/// there. Every node with the same file is a member; nobody else is. Raises
/// `std::runtime_error` with what is wrong and what to do.
void ensure_secret(const std::string& path);

} // namespace hornbeam::runtime
