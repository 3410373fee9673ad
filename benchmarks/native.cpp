#include <pybind11/pybind11.h>

#include "runtime/term/wire.hpp"

// What the function `hornbeam.term_size` of every node does, as pybind11 calls
// it.

PYBIND11_MODULE(hornbeam_bench_native, m) {
  m.def("term_size", [](long x) {
    return hornbeam::runtime::encode(hornbeam::runtime::term{x}).size();
  });
}
