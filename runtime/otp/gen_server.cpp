#include "runtime/otp/gen_server.hpp"

#include <algorithm>

#include "runtime/term/atoms.hpp"

// Protocol, as OTP's `gen` has it: a caller monitors the server, with the
// reference as an alias that the first reply ends, and sends
// `{'$gen_call', {Pid, Ref}, Request}`; the answer is `{Ref, Answer}`, sent to
// the alias. Casts are `{'$gen_cast', Request}`, system messages
// `{system, {Pid, Ref}, Request}`. Whoever starts a server monitors it and gets
// `{ack, Ref, Result}` when `init` is over.

namespace hornbeam::runtime {

namespace {

const term gen_call = term::constant("$gen_call");
const term gen_cast = term::constant("$gen_cast");
const term system_message = term::constant("system");
const term ack = term::constant("ack");

term failed_error(term reason) {
  return term::tuple({atoms::error, std::move(reason)});
}

bool is_tuple(const term& x, const term& tag, std::size_t size) {
  return x.is(term::kind::tuple) && x.items().size() == size
         && x.items()[0] == tag;
}

/// `{kind, {To, Tag}, Request}`, which can be answered. Whatever else begins
/// with such a word is a message like any other.
bool is_question(const term& x, const term& kind) {
  if (!is_tuple(x, kind, 3))
    return false;
  auto& from = x.items()[1];
  if (!from.is(term::kind::tuple) || from.items().size() != 2)
    return false;
  auto& to = from.items()[0];
  return to.is(term::kind::pid) || to.is(term::kind::reference)
         || to.is(term::kind::atom) || to.is(term::kind::tuple);
}

/// The name, if `server` is one of this node: `name` or `{name, node()}`; else
/// null.
const term* local_name(self me, const term& server) {
  if (server.is(term::kind::atom))
    return &server;
  if (!server.is(term::kind::tuple))
    return nullptr;
  auto items = server.items();
  bool here = items.size() == 2 && items[0].is(term::kind::atom)
              && items[1] == me.node();
  return here ? &items[0] : nullptr;
}

/// The node of a pid or of `{name, node}`.
term node_named_by(const term& server) {
  if (server.is(term::kind::pid))
    return term::atom(server.as_pid().node->name());
  return server.items()[1];
}

/// The reason with which a callback's exception ends the server.
term reason_of_callback() {
  try {
    throw;
  } catch (const erlang_throw& e) {
    return term::tuple({term::atom("bad_return_value"), e.value});
  } catch (const exit_error& e) {
    return e.reason;
  } catch (const erlang_error& e) {
    return term::tuple({e.reason, term::list({term::string(e.what())})});
  } catch (const std::exception& e) {
    return exception_reason(e);
  }
}

} // namespace

task<server_result> gen_server::init(self) {
  co_return server_result::noreply();
}

task<server_result> gen_server::handle_call(self, term request, term) {
  throw erlang_error(term::tuple({term::atom("bad_call"), request}));
  co_return server_result::noreply();
}

task<server_result> gen_server::handle_cast(self, term request) {
  throw erlang_error(term::tuple({term::atom("bad_cast"), request}));
  co_return server_result::noreply();
}

task<server_result> gen_server::handle_info(self, term) {
  co_return server_result::noreply();
}

task<server_result> gen_server::handle_continue(self, term) {
  co_return server_result::noreply();
}

bool gen_server::replace_state(term) {
  return false;
}

task<> gen_server::terminate(self, term) {
  co_return;
}

/// The code of a server's process.
class server_loop {
public:
  static process_body run(self me, std::shared_ptr<gen_server> impl,
                          term parent, bool linked, std::string name,
                          term starter, term tag, bool link_first) {
    // Whom nobody is linked to is its own parent: it is ended from outside, in
    // its own name.
    server_loop loop{me, *impl, linked ? parent : me.pid()};
    auto acknowledge = [&](term result) {
      if (!tag.is_none())
        me.send(starter, term::tuple({ack, tag, std::move(result)}));
    };
    if (link_first)
      me.link(parent);
    if (!name.empty()) {
      if (auto other = me.owner().claim_name(name, me.pid())) {
        if (linked)
          me.unlink(parent); // it gets an answer, and no exit message
        acknowledge(
          failed_error(term::tuple({term::atom("already_started"), *other})));
        co_return;
      }
    }
    server_result first;
    std::optional<term> failed;
    try {
      first = co_await impl->init(me);
    } catch (const process_killed&) {
      throw;
    } catch (...) {
      failed = reason_of_callback();
    }
    if (first.stop_)
      failed = first.stop_;
    if (failed || first.ignore_) {
      if (!name.empty())
        me.unregister_name(name); // free before the starter hears of it
      acknowledge(failed ? failed_error(*failed) : term::atom("ignore"));
      throw exit_error{failed ? *failed : atoms::normal};
    }
    acknowledge(term::tuple({atoms::ok, me.pid()}));
    co_await loop.serve(std::move(first));
  }

private:
  server_loop(self me, gen_server& impl, term parent)
    : me_(me), impl_(impl), parent_(std::move(parent)) {}

  task<> serve(server_result next) {
    for (;;) {
      std::optional<term> reason;
      std::optional<term> caller;
      term message;
      try {
        if (next.continue_) {
          auto x = *std::exchange(next.continue_, std::nullopt);
          next = co_await impl_.handle_continue(me_, std::move(x));
        } else {
          if (suspended_) {
            auto waited_for = [this](const term& x) {
              return is_question(x, system_message)
                     || match(atoms::exit, parent_, any)(x);
            };
            message = co_await me_.receive(waited_for);
          } else if (next.timeout_) {
            auto got = co_await me_.receive(after{*next.timeout_});
            message = got ? *std::move(got) : atoms::timeout;
          } else {
            message = co_await me_.receive();
          }
          if (is_question(message, gen_call)) {
            caller = message.items()[1];
            next = co_await impl_.handle_call(me_, message.items()[2], *caller);
          } else if (is_tuple(message, gen_cast, 2)) {
            next = co_await impl_.handle_cast(me_, message.items()[1]);
          } else if (is_question(message, system_message)) {
            reason = system(message);
          } else if (is_tuple(message, atoms::exit, 3)
                     && message.items()[1] == parent_) {
            reason = message.items()[2];
          } else {
            next = co_await impl_.handle_info(me_, std::move(message));
          }
        }
        if (next.reply_) {
          auto answer = *std::exchange(next.reply_, std::nullopt);
          if (!caller) // only a call can be replied to
            reason = term::tuple(
              {term::atom("bad_return_value"),
               term::tuple({term::atom("reply"), std::move(answer)})});
          // With a stop, `terminate` comes first, as in OTP.
          else if (!next.stop_)
            gen_server::reply(me_, *caller, std::move(answer));
          else
            last_reply_ = std::pair{*caller, std::move(answer)};
        }
        if (next.stop_ && !reason)
          reason = next.stop_;
      } catch (const process_killed&) {
        throw;
      } catch (...) {
        reason = reason_of_callback();
      }
      if (reason)
        co_await end(*reason);
    }
  }

  /// Answers a system message; a reason if it ends the server.
  std::optional<term> system(const term& message) {
    auto& from = message.items()[1];
    auto& request = message.items()[2];
    if (request.is_atom("get_state")) {
      gen_server::reply(me_, from, impl_.state());
    } else if (is_tuple(request, term::atom("replace_state"), 2)) {
      gen_server::reply(me_, from,
                        impl_.replace_state(request.items()[1])
                          ? atoms::ok
                          : failed_error(term::atom("no_such_state")));
    } else if (request.is_atom("suspend") || request.is_atom("resume")) {
      suspended_ = request.is_atom("suspend");
      gen_server::reply(me_, from, atoms::ok);
    } else if (is_tuple(request, term::atom("terminate"), 2)) {
      gen_server::reply(me_, from, atoms::ok);
      return request.items()[1];
    } else {
      gen_server::reply(
        me_, from, failed_error(term::tuple({term::atom("unknown"), request})));
    }
    return std::nullopt;
  }

  task<> end(term reason) {
    try {
      co_await impl_.terminate(me_, reason);
    } catch (const process_killed&) {
      throw;
    } catch (...) {
      reason = reason_of_callback();
    }
    if (last_reply_)
      gen_server::reply(me_, last_reply_->first, last_reply_->second);
    throw exit_error{reason};
  }

  self me_;
  gen_server& impl_;
  term parent_;
  std::optional<std::pair<term, term>> last_reply_;
  bool suspended_ = false;
};

task<term> gen_server::start(self me, std::unique_ptr<gen_server> impl,
                             server_options o) {
  auto tag = me.owner().make_ref();
  std::shared_ptr<gen_server> shared{std::move(impl)};
  auto [pid, ref] = me.owner().start(
    {&me.impl(), o.link, true}, &server_loop::run, std::move(shared), me.pid(),
    o.link, o.name, me.pid(), tag, false);
  auto wanted = match(ack, tag, any) | match(atoms::down, ref, any, any, any);
  term answer;
  if (o.timeout_ms < 0) {
    answer = co_await me.receive(wanted);
  } else if (auto got = co_await me.receive(wanted, after{o.timeout_ms})) {
    answer = *std::move(got);
  } else {
    me.unlink(pid);
    me.exit(pid, atoms::kill);
    co_await me.receive(match(atoms::down, ref, any, any, any));
    co_await me.receive(match(ack, tag, any), after{0});
    co_await me.receive(match(atoms::exit, pid, any), after{0});
    co_return failed_error(atoms::timeout);
  }
  if (!is_tuple(answer, ack, 3)) {
    // It was ended during `init`; the link told so before the monitor did.
    co_await me.receive(match(atoms::exit, pid, any), after{0});
    co_return failed_error(answer.items()[4]);
  }
  me.demonitor(ref, true);
  co_return answer.items()[2];
}

term gen_server::spawn(processes& on, std::unique_ptr<gen_server> impl,
                       std::string name) {
  std::shared_ptr<gen_server> shared{std::move(impl)};
  return on.spawn(&server_loop::run, std::move(shared), term{}, false,
                  std::move(name), term{}, term{}, false);
}

term gen_server::spawn(processes& on, std::unique_ptr<gen_server> impl,
                       std::string name, starter by) {
  std::shared_ptr<gen_server> shared{std::move(impl)};
  bool linked = !by.parent.is_none();
  return on.spawn(&server_loop::run, std::move(shared), std::move(by.parent),
                  linked, std::move(name), std::move(by.to), std::move(by.tag),
                  linked);
}

namespace {

/// How a question is put, and how the exit reason shows it.
struct question {
  const term& kind;
  const char* function;
  std::int64_t ms = 5000; ///< negative: for ever
  bool explicit_time = false;
};

term described(const question& q, const term& server, const term& request) {
  term::sequence args{server};
  if (q.kind == gen_call)
    args.push_back(request);
  if (q.explicit_time)
    args.push_back(q.ms < 0 ? atoms::infinity : term{q.ms});
  return term::tuple({term::atom(q.kind == gen_call ? "gen_server" : "sys"),
                      term::atom(q.function), term::list(std::move(args))});
}

task<term> ask(self me, question q, term server, term request) {
  auto why = [&](term reason) {
    return exit_error{
      term::tuple({std::move(reason), described(q, server, request)})};
  };
  std::optional<term> found;
  if (auto* name = local_name(me, server)) {
    found = me.whereis(std::string{name->text()});
    if (!found)
      throw why(atoms::noproc);
  }
  auto& target = found ? *found : server;
  if (target == me.pid())
    throw why(term::atom("calling_self"));
  auto place = me.place(); // what waits already is not the answer
  auto ref = me.monitor(target, alias_mode::reply_demonitor);
  me.send(target,
          term::tuple_of(q.kind, term::tuple_of(me.pid(), ref), request));
  // The same as match(ref, any) | match("DOWN", ref, any, any, any), without
  // copies of `ref`.
  auto wanted = [&ref](const term& x) {
    if (!x.is(term::kind::tuple))
      return false;
    auto items = x.items();
    return (items.size() == 2 && items[0] == ref)
           || (items.size() == 5 && items[0] == atoms::down && items[1] == ref);
  };
  std::optional<term> got;
  if (q.ms < 0)
    got = co_await me.receive_from(place, wanted);
  else
    got = co_await me.receive_from(place, wanted, after{q.ms});
  if (!got) {
    me.demonitor(ref, true);
    throw why(atoms::timeout);
  }
  auto items = got->items();
  if (items.size() == 2)
    co_return items[1];
  auto& reason = items[4];
  if (reason == atoms::noconnection)
    throw why(term::tuple({term::atom("nodedown"), node_named_by(server)}));
  throw why(reason);
}

} // namespace

task<term> gen_server::call(self me, term server, term request) {
  return ask(me, {gen_call, "call"}, std::move(server), std::move(request));
}

task<term> gen_server::call(self me, term server, term request,
                            std::int64_t ms) {
  return ask(me, {gen_call, "call", ms, true}, std::move(server),
             std::move(request));
}

void gen_server::cast(self me, const term& server, term request) {
  auto message = term::tuple({gen_cast, std::move(request)});
  try {
    me.send(server, std::move(message));
  } catch (const erlang_error&) {
    // A name that nobody has: a cast always succeeds.
  }
}

void gen_server::reply(self me, const term& from, term answer) {
  auto& to = from.items()[0];
  auto& tag = from.items()[1];
  // A tag that `ask` has made is an alias of the caller.
  bool alias = tag.is(term::kind::reference) && to.is(term::kind::pid)
               && tag.as_reference().owner == to.as_pid().serial;
  try {
    me.send(alias ? tag : to, term::tuple_of(tag, std::move(answer)));
  } catch (const erlang_error&) {
    // A name that nobody has: a reply always succeeds.
  }
}

task<> gen_server::stop(self me, term server, term reason, std::int64_t ms) {
  std::optional<term> found;
  if (auto* name = local_name(me, server)) {
    found = me.whereis(std::string{name->text()});
    if (!found)
      throw exit_error{atoms::noproc};
  }
  auto& target = found ? *found : server;
  auto failed = [&](term why) {
    return exit_error{term::tuple(
      {std::move(why),
       term::tuple({term::atom("sys"), term::atom("terminate"),
                    term::list({target, reason,
                                ms < 0 ? atoms::infinity : term{ms}})})})};
  };
  if (target == me.pid())
    throw failed(term::atom("calling_self"));
  auto& clock = me.owner().clock();
  auto until = ms < 0 ? never : clock.in(ms);
  auto ref = me.monitor(target);
  auto alias = me.alias(true);
  me.send(target,
          term::tuple({system_message, term::tuple({me.pid(), alias}),
                       term::tuple({term::atom("terminate"), reason})}));
  auto wanted = match(alias, any) | match(atoms::down, ref, any, any, any);
  bool taken = false; // the server has said that it ends
  std::optional<term> why;
  while (!why) {
    std::optional<term> got;
    if (until == never) {
      got = co_await me.receive(wanted);
    } else {
      auto left = std::max<ticks>(until - clock.now(), 0);
      got = co_await me.receive(wanted, after{(left + 999'999) / 1'000'000});
    }
    if (!got) {
      me.demonitor(ref, true);
      me.unalias(alias);
      co_await me.receive(match(alias, any), after{0});
      throw exit_error{atoms::timeout};
    }
    if (got->items().size() == 2)
      taken = true;
    else
      why = got->items()[4];
  }
  me.unalias(alias);
  if (taken && *why == reason)
    co_return;
  if (taken || *why == atoms::noproc)
    throw exit_error{*why};
  if (*why == atoms::noconnection)
    why = term::tuple({term::atom("nodedown"), node_named_by(target)});
  throw failed(*why);
}

task<term> gen_server::replace_state(self me, term server, term state) {
  return ask(me, {system_message, "replace_state"}, std::move(server),
             term::tuple({term::atom("replace_state"), std::move(state)}));
}

task<term> gen_server::suspend(self me, term server) {
  return ask(me, {system_message, "suspend"}, std::move(server),
             term::atom("suspend"));
}

task<term> gen_server::resume(self me, term server) {
  return ask(me, {system_message, "resume"}, std::move(server),
             term::atom("resume"));
}

task<term> gen_server::get_state(self me, term server) {
  return ask(me, {system_message, "get_state"}, std::move(server),
             term::atom("get_state"));
}

} // namespace hornbeam::runtime
