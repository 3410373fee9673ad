#pragma once

#include "pybridge/gil/gil.hpp"

// The way of a hit of `hornbeam_ml.cached_inference`: from the arguments to
// what the table `ml_cache` has. What is not there is computed by
// hornbeam_ml.py.

namespace hornbeam::pybridge {

/// A null handle is an argument that was left out.
py::object cached_inference(py::handle fn, py::handle input, py::handle key,
                            py::handle prefix);

/// The key of a result, and the tokens of the objects that it depends on.
py::tuple inference_key(py::handle fn, py::handle input, py::handle prefix);

void count_inference(bool hit);

} // namespace hornbeam::pybridge
