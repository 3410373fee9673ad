// What most C++ tests include and what is dear to parse.

#include <catch2/catch.hpp>

#include "cmake/precompiled_engine.hpp"
