#include "process_fixture.hpp"

using namespace hornbeam::test;

TEST_CASE_METHOD(one_node, "a name leads to its process until it is given up") {
  auto x = idle();
  CHECK_FALSE(me().whereis("w"));
  me().register_name("w", x);
  CHECK(me().whereis("w") == x);
  CHECK(a.registered() == std::vector<std::string>{"w"});
  me().unregister_name("w");
  CHECK_FALSE(me().whereis("w"));
  CHECK(a.registered().empty());
  CHECK(a.alive(x));
}

TEST_CASE_METHOD(one_node, "messages to a name, and to a name at this node, "
                           "arrive") {
  me().register_name("me");
  me().send(atom("me"), term{1});
  me().send(tup("me", "a@h"), term{2});
  CHECK(p->all() == terms(1, 2));
}

TEST_CASE_METHOD(one_node, "sending to a name that nobody has is an error, to "
                           "one at a node it is silent") {
  CHECK_THROWS_WITH(me().send(atom("nobody"), term{1}),
                    Catch::Contains("nobody"));
  CHECK_NOTHROW(me().send(tup("nobody", "a@h"), term{1}));
  CHECK_NOTHROW(me().send(tup("nobody", "lost@h"), term{1}));
}

TEST_CASE_METHOD(one_node, "a name that is taken is an error that names who "
                           "has it") {
  auto x = idle();
  me().register_name("w", x);
  CHECK_THROWS_WITH(me().register_name("w"),
                    Catch::Contains("'w'")
                      && Catch::Contains(to_string(x.as_pid())));
  CHECK(me().whereis("w") == x);
  CHECK_THROWS_AS(me().register_name("w", x), erlang_error);
}

TEST_CASE_METHOD(one_node, "a process has one name") {
  me().register_name("one");
  CHECK_THROWS_WITH(me().register_name("two"),
                    Catch::Contains("'one'") && Catch::Contains("'two'"));
  CHECK_FALSE(me().whereis("two"));
  me().unregister_name("one");
  me().register_name("two");
  CHECK(me().whereis("two") == p->pid());
}

TEST_CASE_METHOD(one_node, "a dead process can't have a name") {
  auto x = idle();
  a.exit(x, atom("kill"));
  CHECK_THROWS_WITH(me().register_name("w", x), Catch::Contains("'w'"));
  run();
  CHECK_THROWS_AS(me().register_name("w", x), erlang_error);
  CHECK_THROWS_AS(me().register_name("w", far(x)), erlang_error);
  CHECK_FALSE(me().whereis("w"));
}

TEST_CASE_METHOD(one_node, "what can't be a name, or have one, is an error") {
  CHECK_THROWS_WITH(me().register_name("undefined"),
                    Catch::Contains("undefined"));
  CHECK_THROWS_AS(me().register_name(""), erlang_error);
  CHECK_THROWS_WITH(me().register_name("w", term{61}), Catch::Contains("61"));
  auto foreign = term{pid{origin::of("z@h", 9), 1, nullptr}};
  CHECK_THROWS_WITH(me().register_name("w", foreign), Catch::Contains("z@h"));
}

TEST_CASE_METHOD(one_node, "unregistering an unknown name is an error that "
                           "shows it") {
  CHECK_THROWS_WITH(me().unregister_name("ghost"), Catch::Contains("ghost"));
}

TEST_CASE_METHOD(one_node, "a name is free before the down and the exit "
                           "message go out") {
  bool free = false;
  auto x = mortal();
  me().register_name("w", x);
  a.on_exit(x, [&](const term&) { free = !a.whereis("w"); });
  end(x, "boom");
  CHECK(free);
  CHECK(a.registered().empty());
  auto y = mortal();
  me().register_name("w", y); // can be given again
  CHECK(me().whereis("w") == y);
}

TEST_CASE_METHOD(one_node, "anybody may give up anybody's name") {
  me().register_name("me");
  a.spawn([](self me) -> process_body {
    me.unregister_name("me");
    me.register_name("me");
    co_await me.receive();
  });
  run();
  CHECK(me().whereis("me"));
  CHECK(me().whereis("me") != p->pid());
}

TEST_CASE_METHOD(one_node, "of many who want a name one gets it, and the next "
                           "when it ends") {
  int refused = 0;
  for (int i = 0; i < 10; ++i)
    a.spawn([&](self me) -> process_body {
      try {
        me.register_name("w");
      } catch (const erlang_error&) {
        ++refused;
        co_return;
      }
      co_await me.receive();
    });
  run();
  CHECK(refused == 9);
  CHECK(a.count().first == 2);
  a.exit(*a.whereis("w"), atom("kill"));
  CHECK_NOTHROW(me().register_name("w"));
}
