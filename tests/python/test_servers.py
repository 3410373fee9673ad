"""Servers, queues and pools that run Python programs in processes of their own, as
Debian has them: each works, or says in one error what is to be done."""

import contextlib
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import urllib.request
from concurrent.futures import ProcessPoolExecutor

import pytest
from launched import PATIENCE, free_port

import hornbeam
from hornbeam import gen_server

pytestmark = pytest.mark.forks

WSGI = textwrap.dedent(
    """
    import json, os
    from hornbeam_erlang import *

    register_hook("double", lambda action, x: 2 * x)
    state_set("visits", 100)

    def app(environ, start_response):
        answer = [os.getpid(), state_incr("visits"), execute("double", "x", 21),
                  await_result(execute_async("double", "x", 4))]
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]
    """
)

ASGI = textwrap.dedent(
    """
    import json, os
    from hornbeam import aio
    from hornbeam_erlang import *

    register_hook("double", lambda action, x: 2 * x)

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                kind = (await receive())["type"]
                await send({"type": kind + ".complete"})
                if kind == "lifespan.shutdown":
                    return
        answer = [os.getpid(), state_incr("visits")]
        answer.append(await aio.execute("double", "x", 21))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
    """
)


class Server:
    """A server of some kind on a free port, ended by SIGTERM."""

    def __init__(self, folder, text, *command, port=None):
        (folder / "web.py").write_text(text)
        self.port = port or free_port()
        self.log = folder / "log"
        words = [x.format(port=self.port) for x in command]
        modules = ("gunicorn", "uvicorn")
        self.process = subprocess.Popen(
            [sys.executable, "-m", *words] if words[0] in modules else words,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
        )

    def get(self):
        until = time.monotonic() + PATIENCE
        while True:
            try:
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.port}/", timeout=10
                ) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError:  # it has answered
                raise
            except (ConnectionError, urllib.error.URLError) as e:
                error = e
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, (error, self.log.read_text())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.code = self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("does not end:\n" + self.log.read_text()) from None
        text = self.log.read_text()
        assert not re.search("Traceback|terminate|Fatal|dumped|SIGSEGV|SIGABRT", text)


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent", "eventlet"])
def test_gunicorn_with_preload_serves_from_forked_workers(tmp_path, kind):
    with Server(
        tmp_path, WSGI, "gunicorn", "--preload", "-w", "2", "-b", "127.0.0.1:{port}",
        "-k", kind, "web:app",
    ) as server:
        visits = {}
        # Until both serve: gunicorn loses a worker's SIGTERM while it boots.
        while len(visits) < 2 or sum(map(len, visits.values())) < 20:
            pid, count, doubled, task = server.get()
            assert (doubled, task) == (42, 8)
            visits.setdefault(pid, []).append(count)
        # Each worker counts on from what the table held at the fork.
        for counts in visits.values():
            assert counts == list(range(101, 101 + len(counts)))
    assert server.code == 0


def uwsgi(folder, text, *options):
    return Server(
        folder, text, "uwsgi", "--plugin", "python3", "--http-socket",
        "127.0.0.1:{port}", "--master", "--die-on-term", "--need-app", "-p", "2",
        "--wsgi-file", "web.py", "--callable", "app", *options,
    )  # fmt: skip


@pytest.mark.plain
@pytest.mark.parametrize("options", [[], ["--lazy-apps"]], ids=str)
def test_uwsgi_with_threads_serves_from_forked_workers(tmp_path, options):
    with uwsgi(tmp_path, WSGI, "--enable-threads", *options) as server:
        workers = set()
        while len(workers) < 2:
            pid, _, *rest = server.get()
            assert rest == [42, 8]
            workers.add(pid)
    assert server.code == 0


@pytest.mark.plain
def test_uwsgi_without_threads_is_told_what_to_do(tmp_path):
    text = "import hornbeam_erlang\nhornbeam_erlang.state_incr('n')\napp = 1\n"
    with contextlib.suppress(AssertionError), uwsgi(tmp_path, text) as server:
        server.process.wait(PATIENCE)
    assert "start it with --enable-threads" in server.log.read_text()


def test_uvicorn_with_two_workers_serves(tmp_path):
    with Server(
        tmp_path, ASGI, "uvicorn", "--workers", "2", "--port", "{port}", "web:app"
    ) as server:
        assert {server.get()[2] for _ in range(10)} == {42}


def test_uvicorn_with_reload_serves_the_new_program(tmp_path):
    with Server(
        tmp_path, ASGI, "uvicorn", "--reload", "--port", "{port}", "web:app"
    ) as server:
        first = server.get()
        assert first[1:] == [1, 42]
        (tmp_path / "web.py").write_text(ASGI.replace("2 * x", "3 * x"))
        changed = time.monotonic()
        until = changed + PATIENCE
        while (last := server.get())[0] == first[0]:
            assert time.monotonic() < until, server.log.read_text()
            # A change before its first look goes unnoticed.
            if time.monotonic() - changed > 2:
                os.utime(tmp_path / "web.py")
                changed = time.monotonic()
        assert last[1:] == [1, 63]


def test_pytest_xdist_runs_tests_that_use_the_engine(tmp_path):
    (tmp_path / "test_it.py").write_text(
        textwrap.dedent(
            """
            import pytest
            from hornbeam_erlang import *
            @pytest.mark.parametrize("i", range(10))
            def test_it(i):
                register_hook("h", lambda action, x: x + 1)
                assert await_result(execute_async("h", "x", i)) == i + 1
                assert state_incr(f"n{i}") == 1
            """
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 passed" in done.stdout
    assert done.stderr == ""


# -- Apache -------------------------------------------------------------------

APACHE = """
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile apache.pid
Mutex file:{folder}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
ErrorLog /dev/stderr
StartServers 1
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
<Directory />
  Require all granted
</Directory>
WSGISocketPrefix {folder}/wsgi
WSGIDaemonProcess web processes=2 threads=3 home={folder} python-path={path}
WSGIProcessGroup web
WSGIScriptAlias / {folder}/web.py
{more}
"""


def apache(folder, text, more=""):
    port = free_port()
    modules, path = "/usr/lib/apache2/modules", os.environ.get("PYTHONPATH", "")
    (folder / "apache.conf").write_text(APACHE.format(**locals()))
    command = ["/usr/sbin/apache2", "-D", "FOREGROUND", "-f", f"{folder}/apache.conf"]
    if os.getuid() == 0:  # as which mod_wsgi runs no programs
        other = ["--map-user=65534", "--map-group=65534"]
        command = ["unshare", "--user", *other, *command]
    return Server(folder, text, *command, port=port)


@pytest.mark.plain
def test_mod_wsgi_serves_from_the_main_interpreter(tmp_path):
    text = WSGI.replace("def app", "def application")
    with apache(tmp_path, text, "WSGIApplicationGroup %{GLOBAL}") as server:
        processes = set()
        while len(processes) < 2:
            pid, _, *rest = server.get()
            assert rest == [42, 8]
            processes.add(pid)


@pytest.mark.plain
def test_mod_wsgi_with_its_subinterpreters_is_told_what_to_do(tmp_path):
    with contextlib.suppress(AssertionError), apache(tmp_path, WSGI) as server:
        with pytest.raises(urllib.error.HTTPError):
            server.get()
    text = server.log.read_text()
    assert "under mod_wsgi, set WSGIApplicationGroup %{GLOBAL}" in text


@pytest.mark.parametrize("first", ["", "import hornbeam_erlang as e; e.state_incr(1)"])
def test_a_subinterpreter_can_t_import_it_and_harms_nobody(fresh_python, first):
    code = f"""
        import sys
        import _xxsubinterpreters as interpreters
        {first}
        other = interpreters.create()
        try:
            interpreters.run_string(
                other, f"import sys; sys.path[:] = {{sys.path}}; import hornbeam"
            )
        except interpreters.RunFailedError as e:
            print(e)
        interpreters.destroy(other)
        import hornbeam_erlang
        print(hornbeam_erlang.state_incr("n"))
        """
    said = fresh_python(code).splitlines()
    assert "is a subinterpreter: under mod_wsgi" in said[0]
    assert said[1:] == ["1"]


# -- Celery -------------------------------------------------------------------

QUEUE = """
import os
from celery import Celery
from hornbeam_erlang import *

app = Celery("queue", broker="filesystem://", backend="file://" + os.getcwd())
app.conf.broker_transport_options = {
    "data_folder_in": "q", "data_folder_out": "q", "control_folder": "control"
}
app.conf.worker_max_tasks_per_child = 3

register_hook("double", lambda action, x: 2 * x)

async def coroutine(action):
    return "a coroutine"

register_hook("coroutine", coroutine)

if "early" in os.environ:  # a node in the process that forks
    state_incr("early")
    execute("coroutine", "x")

@app.task
def work(x):
    publish("worked", x)
    return [os.getpid(), state_incr("n"), execute("double", "x", x),
            await_result(execute_async("double", "x", 4)), execute("coroutine", "x")]

@app.task
def fail():
    return execute("nobody", "x")
"""

ASKING = """
import hornbeam, queue_app
from hornbeam_erlang import receive_pubsub, subscribe

subscribe("worked")
waiting = [queue_app.work.delay(i) for i in range(10)]
found = [x.get(timeout=60, interval=0.01) for x in waiting]
assert sorted(x[1] for x in found) == list(range(1, 11)), found
assert [x[2:] for x in found] == [[2 * i, 8, "a coroutine"] for i in range(10)]
assert len({x[0] for x in found}) > 2, found
assert sorted(receive_pubsub(60_000) for _ in found) == list(range(10))
try:
    queue_app.fail.delay().get(timeout=60, interval=0.01)
except Exception as e:
    assert type(e).__name__ == "NotFoundError", e
input("through")
while len(members := hornbeam.cluster.members()) > 1:
    pass
"""


@pytest.mark.parametrize("early", [False, True], ids=["late", "early"])
def test_celery_works_in_processes_that_it_forks_and_that_say_goodbye(tmp_path, early):
    (tmp_path / "queue_app.py").write_text(textwrap.dedent(QUEUE))
    for folder in ("q", "control", "run"):
        (tmp_path / folder).mkdir()
    env = {
        **os.environ,
        "HORNBEAM_CLUSTER": "celery",
        "HORNBEAM_SECRET": str(tmp_path / "secret.pem"),
        "RUNTIME_DIRECTORY": str(tmp_path / "run"),
    }
    options = "--without-heartbeat --without-mingle --without-gossip -c 2 -P prefork"
    log = tmp_path / "log"
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "queue_app", "worker", *options.split()],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        env={**env, "early": "1"} if early else env,
    )
    try:
        with subprocess.Popen(
            [sys.executable, "-c", ASKING],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
        ) as asking:
            assert asking.stdout.read(7) == b"through", asking.stderr.read()
            worker.terminate()
            assert worker.wait(PATIENCE) == 0
            assert asking.communicate(b"\n", timeout=PATIENCE) == (b"", b"")
        assert asking.returncode == 0
    finally:
        worker.kill()
        worker.wait()
    assert "is down" not in log.read_text()


# -- pools --------------------------------------------------------------------


def failing(x):
    gen_server.call("nobody", x)


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("library", ["multiprocessing", "concurrent.futures"])
def test_what_is_raised_in_a_process_of_a_pool_arrives(library, how):
    context = multiprocessing.get_context(how)
    hornbeam.self()  # a node runs here
    with pytest.raises(gen_server.CallError) as raised:
        if library == "multiprocessing":
            with context.Pool(1) as pool:
                pool.apply_async(failing, ("x",)).get(PATIENCE)
        else:
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                pool.submit(failing, "x").result(PATIENCE)
    assert str(raised.value) == "the call of 'nobody' failed: noproc"
    assert raised.value.reason == "noproc"
