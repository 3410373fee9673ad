"""The wheel in a Debian 12 that has python3 and nothing else: no library of ours, no
compiler, no pip."""

import os
import shutil
import signal
import subprocess
import zipfile

import pytest

from .conftest import EXAMPLE, EXAMPLE_PRINTS, project_version, run, write_cluster

# A download of some 100 MB.
pytestmark = [pytest.mark.plain, pytest.mark.long, pytest.mark.timeout(1200)]


def mirror():
    """(address, codename) of the Debian that this computer's own packages are from."""
    wanted = ["Created-By: Packages", "Origin: Debian"]
    command = ["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)", *wanted]
    printed = subprocess.run(command, capture_output=True, text=True).stdout
    for line in printed.splitlines():
        site, _, codename = line.partition(" ")
        if codename == "bookworm":
            return site, codename
    pytest.skip("apt's sources name no mirror of Debian 12")


def have_debootstrap():
    if os.geteuid() != 0:
        pytest.skip("only root can make a root folder by debootstrap")
    if not shutil.which("debootstrap"):
        install = ["apt-get", "-qq", "-y", "install", "--no-install-recommends"]
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run([*install, "debootstrap"], env=env, capture_output=True)
    if not shutil.which("debootstrap"):
        pytest.skip("debootstrap is missing and can't be installed by apt-get")


class Root:
    """A root folder. Commands have their own mounts and processes, which end with
    them, so that nothing is left to be unmounted."""

    def __init__(self, folder):
        self.folder = folder
        self.home = folder / "home user"

    def run(self, command, timeout=100):
        script = (
            'mount -t proc proc "$0/proc" && exec chroot "$0" '
            "/usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 "
            'HOME="/home user" RUNTIME_DIRECTORY=/run/hornbeam '
            'sh -ec "$1"'
        )
        inside = f"mkdir -p /run/hornbeam && cd '/home user' && {command}"
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        words = [*apart, "sh", "-ec", script, self.folder, inside]
        return run(*words, cwd=self.folder, env=dict(os.environ), timeout=timeout)


@pytest.fixture(scope="module")
def root(wheel, tmp_path_factory):
    have_debootstrap()
    site, codename = mirror()
    folder = tmp_path_factory.mktemp("bare") / "root"
    command = ["debootstrap", "--variant=minbase", "--include=python3"]
    command += [codename, str(folder), site]
    try:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            printed = process.communicate(timeout=900)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            pytest.skip("debootstrap takes longer than 15 minutes")
        if process.returncode != 0:
            pytest.skip("debootstrap failed: " + " ".join(printed.splitlines()[-2:]))
        made = Root(folder)
        made.home.mkdir()
        # Debian has pip in a package of its own: unpack as pip would.
        site_packages = folder / "usr/local/lib/python3.11/dist-packages"
        with zipfile.ZipFile(wheel) as archive:
            for x in archive.infolist():
                path = site_packages / archive.extract(x, site_packages)
                path.chmod(x.external_attr >> 16 & 0o777)
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_it_has_none_of_the_packages_of_a_build(root):
    packages = root.run("dpkg-query -W -f '${Package}\\n'").split()
    assert "python3" in packages
    ours = ("libcaf", "liblmdb", "libfmt", "libspdlog", "libtomlplusplus", "libboost")
    others = ("libpython3.11", "gcc", "g++", "cmake", "python3-pip", "python3-numpy")
    assert [x for x in packages if x.startswith(ours) or x in others] == []


def test_every_library_is_carried_or_there(root):
    folder = "/usr/local/lib/python3.11/dist-packages/hornbeam"
    # The others are found by way of those.
    files = f"{folder}/_native.*.so {folder}/_bin/hornbeam {folder}/_lib/libhornbeam.*"
    printed = root.run(f"for x in {files}; do ldd $x; done")
    assert "not found" not in printed
    assert "libssl.so.3 => /lib/" in printed


def test_an_example_runs_in_it(root):
    (root.home / "example.py").write_text(EXAMPLE)
    assert root.run("python3 example.py") == EXAMPLE_PRINTS


def test_two_nodes_make_a_cluster_in_it(root):
    version = f"hornbeam {project_version()}\n"
    assert root.run("python3 -m hornbeam --version") == version
    write_cluster(root.home, "bare")
    printed = root.run("python3 -m hornbeam up cluster.toml --run web:ask.py")
    assert "prefix /usr" in printed


def test_the_packages_have_their_types_in_it(root):
    folder = "/usr/local/lib/python3.11/dist-packages/hornbeam"
    root.run(f"test -f {folder}/py.typed && test -f {folder}/_native.pyi")
