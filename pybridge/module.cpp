#include "pybridge/module.hpp"

#include "pybridge/convert.hpp"

PYBIND11_MODULE(_native, m) {
  namespace pb = hornbeam::pybridge;
  m.doc() = "The engine under the package hornbeam; not for direct use.";
  pybind11::register_exception_translator([](std::exception_ptr p) {
    try {
      if (p)
        std::rethrow_exception(p);
    } catch (const hornbeam::runtime::bad_term& e) {
      pb::set_error(PyExc_TypeError, e.what());
    } catch (const hornbeam::runtime::failed& e) {
      try {
        pb::raise(e.why);
      } catch (pybind11::error_already_set& x) {
        x.restore();
      }
    }
  });
  pb::release_gil_in_waits();
  pb::bind_lifecycle(m);
  pb::bind_tables(m);
  pb::bind_calls(m);
  pb::bind_jobs(m);
  pb::bind_mailboxes(m);
  pb::bind_streams(m);
}
