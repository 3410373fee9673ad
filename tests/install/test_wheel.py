"""The wheel: what is in it, and what it does in a fresh virtual environment."""

import base64
import csv
import hashlib
import importlib.util
import io
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import textwrap

import pytest

from .conftest import (
    BACKEND,
    EXAMPLE,
    EXAMPLE_PRINTS,
    ROOT,
    Environment,
    build_wheel,
    clean_environment,
    project_version,
    run,
    write_cluster,
)

pytestmark = pytest.mark.plain


@pytest.fixture(scope="module")
def backend():
    spec = importlib.util.spec_from_file_location("hornbeam_build", BACKEND)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- what is in it --------------------------------------------------------------


def test_its_tag_is_this_interpreter_and_platform_and_claims_no_more(wheel):
    platform = sysconfig.get_platform().replace("-", "_")
    assert wheel.name == f"hornbeam-{project_version()}-cp311-cp311-{platform}.whl"


def test_the_record_names_every_file_with_its_hash(contents):
    name = f"hornbeam-{project_version()}.dist-info/RECORD"
    rows = {x[0]: x[1:] for x in csv.reader(io.StringIO(contents[name].decode()))}
    assert set(rows) == set(contents)
    assert rows.pop(name) == ["", ""]
    for path, (digest, size) in rows.items():
        hashed = hashlib.sha256(contents[path]).digest()
        text = base64.urlsafe_b64encode(hashed).decode().rstrip("=")
        assert digest == f"sha256={text}"
        assert int(size) == len(contents[path])


def test_the_same_build_gives_the_same_bytes(wheel, tmp_path):
    assert build_wheel(tmp_path).read_bytes() == wheel.read_bytes()


def test_it_has_all_packages_with_their_types(contents):
    source = ROOT / "pybridge/python"
    wanted = {
        x.relative_to(source).as_posix()
        for x in source.rglob("*")
        if x.suffix in (".py", ".pyi") or x.name == "py.typed"
    }
    assert wanted <= set(contents)
    assert {"hornbeam/py.typed", "hornbeam/_native.pyi"} <= wanted


def test_it_carries_each_library_once_with_its_licence(contents):
    carried = {x.split("/")[-1] for x in contents if x.startswith("hornbeam/_lib/")}
    stems = sorted(x.split(".so")[0] for x in carried)
    assert stems == [
        "libcaf_core",
        "libfmt",
        "libhornbeam",
        "liblmdb",
        "libspdlog",
        "libtomlplusplus",
    ]
    licences = [x for x in contents if ".dist-info/licences/" in x]
    assert len(licences) == len(stems) - 1


# -- what it does ----------------------------------------------------------------


def test_an_example_runs(venv):
    assert venv.python(EXAMPLE) == EXAMPLE_PRINTS


def test_the_version_is_the_same_everywhere(venv):
    version = project_version()
    assert venv.hornbeam("--version") == f"hornbeam {version}\n"
    code = "import hornbeam; print(hornbeam.__version__)"
    assert venv.python(code) == version + "\n"
    code = "import importlib.metadata as m; print(m.version('hornbeam'))"
    assert venv.python(code) == version + "\n"
    assert f"\n## {version}\n" in (ROOT / "CHANGELOG.md").read_text()


def test_the_command_runs_a_cluster_with_its_own_python_and_libraries(venv):
    write_cluster(venv.folder, f"wheel-{os.getpid()}")
    printed = venv.hornbeam("up", "cluster.toml", "--run", "web:ask.py")
    prefix = next(x for x in printed.splitlines() if "prefix" in x)
    assert prefix.endswith(str(venv.bin.parent))
    libraries = next(x for x in printed.splitlines() if "libraries" in x)
    found = [x for x in libraries.split("'") if x.startswith("/")]
    ours = "hornbeam caf_ lmdb fmt spdlog tomlplusplus _native".split()
    carried = [x for x in found if any(word in x.split("/")[-1] for word in ours)]
    assert len(carried) == 7
    assert all(x.startswith(str(venv.site)) for x in carried), carried


def other_interpreters():
    """Further installations of this version of Python, as those of pyenv."""
    found = set()
    for folder in os.environ["PATH"].split(":"):
        path = f"{folder}/python3"
        code = "import sys; print(sys.version_info[:2], sys.executable)"
        if os.access(path, os.X_OK):
            asked = subprocess.run([path, "-c", code], capture_output=True, text=True)
            if asked.stdout.startswith("(3, 11) "):
                found.add(os.path.realpath(asked.stdout[8:].strip()))
    return sorted(found - {os.path.realpath(sys.executable)})


@pytest.mark.parametrize("python", other_interpreters())
def test_nodes_run_the_interpreter_that_the_wheel_is_installed_for(
    python, wheel, tmp_path
):
    made = Environment(tmp_path, python)
    made.pip("install", "--no-index", wheel)
    assert made.python(EXAMPLE) == EXAMPLE_PRINTS
    write_cluster(tmp_path, f"wheel-{os.getpid()}")
    code = "import os, sys; print('runs', os.path.realpath(sys.executable))\n"
    (tmp_path / "script.py").write_text(code)
    printed = made.hornbeam("up", "cluster.toml", "--run", "web:script.py")
    assert re.search(rf"^web +\| runs {re.escape(python)}$", printed, re.M)


def test_python_m_is_the_command(venv):
    printed = run(venv.bin / "python3", "-m", "hornbeam", "--version", cwd=venv.folder)
    assert printed == f"hornbeam {project_version()}\n"


def test_libraries_of_the_same_name_elsewhere_are_not_taken(venv, tmp_path):
    for name in ("libfmt.so.9", "libcaf_core.so.0.17.6", "libhornbeam.so.0"):
        (tmp_path / name).write_text("no library")
    env = clean_environment(venv.folder)
    env["LD_LIBRARY_PATH"] = str(tmp_path)
    assert venv.python(EXAMPLE, env=env) == EXAMPLE_PRINTS
    assert venv.hornbeam("--version", env=env).startswith("hornbeam ")


def test_a_pythonpath_of_the_user_does_no_harm(venv, tmp_path):
    (tmp_path / "mine.py").write_text("print('mine')\n")
    env = {**clean_environment(venv.folder), "PYTHONPATH": str(tmp_path)}
    assert venv.python("import mine\n" + EXAMPLE, env=env) == "mine\n" + EXAMPLE_PRINTS
    write_cluster(venv.folder, f"wheel-{os.getpid()}")
    (venv.folder / "script.py").write_text("import mine\n")
    printed = venv.hornbeam("up", "cluster.toml", "--run", "web:script.py", env=env)
    assert re.search(r"^web +\| mine$", printed, re.M)


def test_pip_installs_the_tree_offline_twice_and_removes_all_of_it(tmp_path):
    made = Environment(tmp_path, sys.executable)
    before = {x for x in made.bin.parent.rglob("*") if "__pycache__" not in x.parts}
    made.pip("install", "--no-index", ROOT)
    made.pip("install", "--no-index", "--force-reinstall", ROOT)
    assert made.python(EXAMPLE) == EXAMPLE_PRINTS
    made.pip("uninstall", "-y", "hornbeam")
    after = {x for x in made.bin.parent.rglob("*") if "__pycache__" not in x.parts}
    assert after == before


def test_an_editable_installation_leads_to_the_sources(tmp_path):
    made = Environment(tmp_path, sys.executable)
    made.pip("install", "--no-index", "--editable", ROOT)
    assert made.python(EXAMPLE) == EXAMPLE_PRINTS
    code = "import os, hornbeam.tasks as x; print(os.path.realpath(x.__file__))"
    here = ROOT / "pybridge/python/hornbeam/tasks.py"
    assert made.python(code) == f"{here}\n"
    assert made.hornbeam("--version") == f"hornbeam {project_version()}\n"


# -- the sources ------------------------------------------------------------------


def test_a_source_distribution_has_all_that_a_build_reads(backend, tmp_path):
    name = backend.build_sdist(str(tmp_path))
    with tarfile.open(tmp_path / name) as archive:
        archive.extractall(tmp_path)
    unpacked = tmp_path / f"hornbeam-{project_version()}"
    folders = "actors cmake config launcher packaging pybridge runtime tests".split()
    for folder in folders:
        for x in (ROOT / folder).rglob("*"):
            if x.is_file() and "__pycache__" not in x.parts:
                assert (unpacked / x.relative_to(ROOT)).read_bytes() == x.read_bytes()
    assert (unpacked / "PKG-INFO").exists()
    assert not (unpacked / "build").exists()


def test_metadata_can_be_had_without_a_build(backend, tmp_path):
    name = backend.prepare_metadata_for_build_wheel(str(tmp_path))
    text = (tmp_path / name / "METADATA").read_text()
    assert "\nRequires-Python: ==3.11.*\n" in text


# -- where it can't work ------------------------------------------------------------


PRETENDED = {
    "another Python": "sys.version_info = (3, 12, 0, 'final', 0)",
    "an old Python": "sys.version_info = (3, 9, 2, 'final', 0)",
    "another implementation": "sys.implementation.name = 'pypy'",
    "another system": "sys.platform = 'darwin'",
    "musl": "sysconfig.get_config_var = lambda _: '.cpython-311-x86_64-linux-musl.so'",
}


@pytest.mark.parametrize("what", PRETENDED)
def test_the_backend_refuses_in_one_line(what, tmp_path):
    code = f"""
        import sys, sysconfig
        sys.path.insert(0, {str(BACKEND.parent)!r})
        {PRETENDED[what]}
        import hornbeam_build
        hornbeam_build.build_wheel({str(tmp_path)!r})
    """
    printed = run(
        sys.executable, "-B", "-c", textwrap.dedent(code), cwd=tmp_path, code=1
    )
    assert printed.startswith("hornbeam: needs CPython 3.11 on Linux with glibc")
    assert len(printed.splitlines()) == 1


def other_pythons():
    """Other versions of Python 3 that this computer happens to have."""
    found = []
    for name in ("python3.9", "python3.10", "python3.12", "python3.13"):
        for folder in os.environ["PATH"].split(":"):
            path = f"{folder}/{name}"
            if os.access(path, os.X_OK):
                asked = subprocess.run([path, "-c", ""], capture_output=True)
                if asked.returncode == 0:
                    found.append(path)
                    break
    return found


def test_an_import_in_another_python_says_which_one_it_was_built_for(venv):
    """As another one would see it: its modules have another suffix."""
    code = """
        import importlib.machinery, sys, sysconfig
        importlib.machinery.EXTENSION_SUFFIXES[:] = [".cpython-312-x86_64-linux-gnu.so"]
        get = sysconfig.get_config_var
        sysconfig.get_config_var = lambda x: (
            ".cpython-312-x86_64-linux-gnu.so" if x == "EXT_SUFFIX" else get(x))
        import importlib._bootstrap_external as b
        sys.path_hooks[:] = [sys.path_hooks[0], b.FileFinder.path_hook(
            (b.ExtensionFileLoader, [".cpython-312-x86_64-linux-gnu.so"]),
            (b.SourceFileLoader, [".py"]))]
        sys.path_importer_cache.clear()
        try:
            import hornbeam_erlang
        except ImportError as e:
            print(e)
    """
    printed = venv.python(textwrap.dedent(code))
    assert printed.startswith("hornbeam was built for CPython 3.11 (")
    assert "is CPython 3.12 (x86_64-linux-gnu)" in printed
    assert len(printed.splitlines()) == 1


@pytest.mark.parametrize("python", other_pythons())
def test_other_pythons_that_are_here_say_it_in_one_line(python, venv):
    env = {**clean_environment(venv.folder), "PYTHONPATH": str(venv.site)}
    code = "try: import hornbeam_erlang\nexcept ImportError as e: print(e)"
    printed = run(python, "-c", code, cwd=venv.folder, env=env)
    assert printed.startswith("hornbeam was built for CPython 3.11 (")
    assert len(printed.splitlines()) == 1


def test_packages_without_their_native_module_say_that_they_are_not_built(tmp_path):
    env = clean_environment(tmp_path)
    env["PYTHONPATH"] = str(ROOT / "pybridge/python")
    code = "try: import hornbeam\nexcept ImportError as e: print(e)"
    printed = run(sys.executable, "-B", "-c", code, cwd=tmp_path, env=env)
    assert "has no native module: it has not been built" in printed
