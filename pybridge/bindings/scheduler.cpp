#include "pybridge/scheduler/scheduler.hpp"

#include "pybridge/bindings/module.hpp"
#include "pybridge/scheduler/coroutine_process.hpp"
#include "pybridge/scheduler/receive.hpp"

namespace hornbeam::pybridge {

void bind_scheduler(py::module_& m) {
  using guard = py::call_guard<native_call>;
  py::class_<scheduler, std::shared_ptr<scheduler>>(m, "Scheduler")
    .def(py::init<py::object, py::dict, py::object>(), py::arg("loop"),
         py::arg("current_tasks"), py::arg("cancelled_error"))
    .def("fileno", &scheduler::descriptor)
    // Gives turns. The seconds after which it must be called again even if the
    // descriptor is not readable; negative: it need not be.
    .def("run", &scheduler::run, guard())
    // In a forked child.
    .def("close", &scheduler::close);
  bind_coroutine_process(m);
  bind_receive(m);
}

} // namespace hornbeam::pybridge
