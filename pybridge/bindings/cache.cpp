#include "pybridge/bindings/module.hpp"
#include "pybridge/calls/fast_call.hpp"
#include "pybridge/gil/engine.hpp"
#include "pybridge/tables/function_identity.hpp"
#include "pybridge/tables/inference_cache.hpp"

namespace hornbeam::pybridge {

void bind_cache(py::module_& m) {
  using guard = py::call_guard<native_call>;
  def_fast<cached_inference, "cached_inference",
           "fn, input_data, cache_key=None, cache_prefix='ml'">(
    m,
    "Return `fn(input_data)`, computed once.\n\n"
    "With the default prefix the function's identity is part of the key: its "
    "module,\nname and code, its defaults and what it closes over, if all of "
    "that can be\nstored; of anything else (a method, a callable object) that "
    "very object, so that\ntwo models never share a result. An explicit "
    "`cache_prefix` names the model\ninstead. An explicit `cache_key` is taken "
    "as it is. Inputs and results are what\ncan be stored (see docs/terms.md); "
    "arrays stay arrays, and inputs of different\ntypes never share a result. "
    "Threads that ask for the same missing key wait for\none computation, "
    "unless that would wait for them.\n\n"
    "Of a coroutine function, or a method that is one, it is to be awaited, "
    "and "
    "tasks\nwait as threads do.\n\n"
    "Raises what `fn` raises, and TypeError for an input (without a "
    "`cache_key`)\nor a result that can't be stored.");
  m.def("set_cache_side", &set_cache_side);
  m.def("inference_key", &inference_key, guard());
  m.def("count_inference", &count_inference, guard());
  m.def(
    "inference_counts",
    [] {
      auto* app = engine::get().running();
      return app != nullptr ? py::make_tuple(app->inference.hits.load(),
                                             app->inference.misses.load())
                            : py::make_tuple(0, 0);
    },
    guard());
}

} // namespace hornbeam::pybridge
