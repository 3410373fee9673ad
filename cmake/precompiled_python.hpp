// What most files of the native module include and what is dear to parse.

#include "cmake/precompiled_engine.hpp"
#include "pybridge/gil/gil.hpp"
