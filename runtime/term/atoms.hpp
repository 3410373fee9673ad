#pragma once

#include "runtime/term/term.hpp"

/// Atoms that the runtime itself sends.
namespace hornbeam::runtime::atoms {

inline const term down = term::constant("DOWN");
inline const term exit = term::constant("EXIT");
inline const term process = term::constant("process");
inline const term normal = term::constant("normal");
inline const term kill = term::constant("kill");
inline const term killed = term::constant("killed");
inline const term noproc = term::constant("noproc");
inline const term noconnection = term::constant("noconnection");
inline const term shutdown = term::constant("shutdown");
inline const term timeout = term::constant("timeout");
inline const term ok = term::constant("ok");
inline const term error = term::constant("error");
inline const term infinity = term::constant("infinity");
inline const term undefined = term::constant("undefined");

} // namespace hornbeam::runtime::atoms
