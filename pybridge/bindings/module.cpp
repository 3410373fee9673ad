#include "pybridge/bindings/module.hpp"

#include "pybridge/calls/fast_call.hpp"
#include "pybridge/values/convert.hpp"

PYBIND11_MODULE(_native, m) {
  namespace pb = hornbeam::pybridge;
  m.doc() = "The engine under the package hornbeam; not for direct use.";
  pybind11::register_exception_translator([](std::exception_ptr p) {
    try {
      if (p)
        std::rethrow_exception(p);
    } catch (const hornbeam::runtime::bad_term&) {
      pb::set_current_error();
    } catch (const hornbeam::runtime::failed&) {
      pb::set_current_error();
    }
  });
  pb::release_gil_in_waits();
  pb::bind_values(m);
  pb::bind_lifecycle(m);
  pb::bind_log(m);
  pb::bind_tables(m);
  pb::bind_cache(m);
  pb::bind_calls(m);
  pb::bind_handlers(m);
  pb::bind_tasks(m);
  pb::bind_jobs(m);
  pb::bind_plain_jobs(m);
  pb::bind_mailboxes(m);
  pb::bind_scheduler(m);
  pb::bind_streams(m);
  pb::bind_supervisors(m);
  pb::bind_groups(m);
}
