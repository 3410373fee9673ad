"""`cmake --install`: a program of one's own finds and uses what it installs."""

import os
import sys
from pathlib import Path

import pytest

from .conftest import (
    EXAMPLE,
    EXAMPLE_PRINTS,
    ROOT,
    clean_environment,
    project_version,
    run,
    write_cluster,
)

pytestmark = pytest.mark.plain

BINARY = Path(os.environ.get("HORNBEAM_BIN") or ROOT / "build/release/launcher/x")
BUILD = BINARY.parents[1]

PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(mine LANGUAGES CXX)
find_package(hornbeam {version} REQUIRED)
message(STATUS "found hornbeam ${{hornbeam_VERSION}}")
add_executable(mine main.cpp)
target_link_libraries(mine PRIVATE hornbeam::hornbeam)
add_executable(everything everything.cpp)
target_link_libraries(everything PRIVATE hornbeam::hornbeam)
"""


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """An installation that was moved after it was made."""
    folder = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", BUILD, "--prefix", folder / "first", cwd=folder)
    moved = folder / "my programs"
    (folder / "first").rename(moved)
    return moved


def write_project(folder, prefix, version):
    """A node as in the README, and a program that includes every header."""
    (folder / "CMakeLists.txt").write_text(PROJECT.format(version=version))
    (folder / "main.cpp").write_text((ROOT / "samples/embed/main.cpp").read_text())
    headers = sorted((prefix / "include/hornbeam").rglob("*.hpp"))
    lines = [
        f'#include "{x.relative_to(prefix / "include/hornbeam")}"\n' for x in headers
    ]
    body = "int main() { return hornbeam::runtime::version().empty(); }\n"
    (folder / "everything.cpp").write_text("".join(lines) + body)


def configure(folder, prefix, **options):
    command = ["cmake", "-S", ".", "-B", "build", f"-DCMAKE_PREFIX_PATH={prefix}"]
    return run(*command, cwd=folder, **options)


def test_a_program_outside_of_the_tree_is_built_against_it_and_runs(prefix, tmp_path):
    write_project(tmp_path, prefix, project_version())
    assert f"found hornbeam {project_version()}" in configure(tmp_path, prefix)
    run("cmake", "--build", "build", cwd=tmp_path)
    printed = run("build/mine", cwd=tmp_path)
    assert printed == "node embed@127.0.0.1: add(1, 2) = 3\n"
    run("build/everything", cwd=tmp_path)
    libraries = run("ldd", "build/mine", cwd=tmp_path)
    assert f"{prefix}/lib/libhornbeam.so" in libraries
    assert str(BUILD) not in libraries


def test_a_program_that_wants_another_version_is_refused(prefix, tmp_path):
    write_project(tmp_path, prefix, "99.0")
    printed = configure(tmp_path, prefix, code=1)
    assert f"version: {project_version()}" in printed


def test_nothing_of_the_build_is_named_in_what_others_read(prefix):
    for x in (prefix / "lib/cmake").rglob("*.cmake"):
        assert str(ROOT) not in x.read_text(), x


def test_its_binary_runs_nodes_with_its_packages(prefix, tmp_path):
    hornbeam = prefix / "bin/hornbeam"
    version = run(hornbeam, "--version", cwd=tmp_path)
    assert version == f"hornbeam {project_version()}\n"
    write_cluster(tmp_path, f"prefix-{os.getpid()}")
    printed = run(hornbeam, "up", "cluster.toml", "--run", "web:ask.py", cwd=tmp_path)
    assert f"{prefix}/lib/python3.11/site-packages/hornbeam/_native" in printed
    assert str(BUILD) not in printed


def test_its_packages_can_be_imported(prefix, tmp_path):
    env = clean_environment(tmp_path)
    env["PYTHONPATH"] = str(prefix / "lib/python3.11/site-packages")
    printed = run(sys.executable, "-c", EXAMPLE, cwd=tmp_path, env=env)
    assert printed == EXAMPLE_PRINTS
