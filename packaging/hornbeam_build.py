"""The build backend (PEP 517 and 660): what `pip install .` calls.

It needs nothing but the standard library and CMake. A wheel is what
`cmake --install --component wheel` puts into a folder (cmake/install.cmake), with
its metadata; the same tree and build give the same wheel, byte for byte.

    python3 packaging/hornbeam_build.py [FOLDER]    # a wheel in FOLDER, or dist/

Any Python 3 can read this file, so that each is told in one line what is wrong.
"""

import base64
import contextlib
import csv
import fcntl
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = (3, 11)  # what is tested; the packages themselves read no older one
TARGETS = ["hornbeam", "hornbeam_native", "hornbeam_cli"]
EXECUTABLE, PLAIN = 0o755, 0o644  # modes of files


# -- the hooks ------------------------------------------------------------------


def get_requires_for_build_wheel(config_settings=None):
    return []


get_requires_for_build_sdist = get_requires_for_build_wheel
get_requires_for_build_editable = get_requires_for_build_wheel


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    check_platform()  # of the version, pip says so itself: see Requires-Python
    folder = Path(metadata_directory, dist_info())
    folder.mkdir()
    for name, (data, _) in metadata().items():
        path = folder.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder.name


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    check_interpreter()
    with tempfile.TemporaryDirectory(prefix="hornbeam-wheel-") as temporary:
        stage = Path(temporary, "stage")
        with built(Path(temporary, "build")) as folder:
            install = ["--install", folder, "--component", "wheel", "--strip"]
            cmake(*install, "--prefix", stage)
        files = dict(staged(stage))
        licences = licences_of_others(stage)
    check_module(files)
    return write_wheel(wheel_directory, {**files, **licences, **metadata()})


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    """Leads to the packages in the build folder, which are links to the sources."""
    check_interpreter()
    with built(None) as folder:
        packages = folder / "python"
    path = {"hornbeam.pth": ((str(packages) + "\n").encode(), PLAIN)}
    return write_wheel(wheel_directory, {**path, **metadata()})


def build_sdist(sdist_directory, config_settings=None):
    check_interpreter()
    base = "hornbeam-" + version()
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as out:
        files = {}
        for name in sources():
            runs = os.access(str(ROOT / name), os.X_OK)
            files[name] = ((ROOT / name).read_bytes(), EXECUTABLE if runs else PLAIN)
        files["PKG-INFO"] = metadata()[dist_info() + "/METADATA"]
        for name, (data, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(base + "/" + name)
            entry.size = len(data)
            entry.mtime = moment()
            entry.mode = mode
            out.addfile(entry, io.BytesIO(data))
    path = Path(sdist_directory, base + ".tar.gz")
    path.write_bytes(gzip.compress(plain.getvalue(), mtime=0))
    return path.name


# -- for whom --------------------------------------------------------------------


def fail(text):
    raise SystemExit("hornbeam: " + text)


def check_interpreter():
    """End with one line unless what is built works in this interpreter."""
    check_platform()
    # A debug build has another ABI.
    if sys.version_info[:2] != PYTHON or getattr(sys, "abiflags", ""):
        refuse()


def check_platform():
    suffix = sysconfig.get_config_var("EXT_SUFFIX") or ""  # musl has another one
    glibc = sys.platform == "linux" and suffix.endswith("-linux-gnu.so")
    if sys.implementation.name != "cpython" or not glibc:
        refuse()


def refuse():
    fail(
        "needs CPython {}.{} on Linux with glibc, as Debian 12 has it; this is "
        "{} {}.{} on {} (modules end with {})".format(
            *PYTHON,
            sys.implementation.name,
            *sys.version_info[:2],
            sys.platform,
            sysconfig.get_config_var("EXT_SUFFIX"),
        )
    )


def check_module(files):
    """The build folder may have been made for another Python than this one."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    if "hornbeam/_native" + suffix not in files:
        built_for = [x for x in files if x.startswith("hornbeam/_native.")]
        fail(
            "the module was built as {}, but {} needs one that ends with {}; see "
            "HORNBEAM_PYTHON in CMakeLists.txt".format(
                " and ".join(built_for), sys.executable, suffix
            )
        )


def tag():
    """Of exactly this interpreter and platform: it is not tried on older ones."""
    python = "cp{}{}".format(*PYTHON)
    platform = re.sub(r"[^\w]", "_", sysconfig.get_platform())
    return "{}-{}-{}".format(python, python, platform)


# -- building ----------------------------------------------------------------------


def cmake(*words):
    command = ["cmake", *map(str, words)]
    try:
        # Our stdout belongs to whoever called.
        done = subprocess.run(command, cwd=str(ROOT), stdout=sys.stderr.fileno())
    except FileNotFoundError:
        fail("there is no cmake; `./dev setup` installs what a build needs")
    if done.returncode != 0:
        fail(
            "`{}` failed, see above; `./dev setup` installs what a build "
            "needs".format(" ".join(command[:3]))
        )


@contextlib.contextmanager
def built(temporary):
    """The build folder, with what users need built in it and nobody else building.
    That of `./dev build` if it is there, else one without tests; a temporary one if
    the sources can't be written to."""
    folder = temporary
    lock = None
    if temporary is None or os.access(str(ROOT), os.W_OK):
        (ROOT / "build").mkdir(exist_ok=True)
        lock = open(str(ROOT / "build" / ".lock"), "w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        release = ROOT / "build" / "release"
        ready = (release / "build.ninja").exists() and is_ours(release)
        folder = release if ready else ROOT / "build" / "wheel"
    try:
        if not is_ours(folder):
            shutil.rmtree(str(folder))
        if not (folder / "CMakeCache.txt").exists():
            cmake("--preset", "wheel", "-B", folder, *configuration())
        jobs = os.cpu_count() or 1
        cmake("--build", folder, "--parallel", jobs, "--target", *TARGETS)
        yield folder
    finally:
        if lock:
            lock.close()


def is_ours(folder):
    """False for one that was made for sources elsewhere, as in a copied tree."""
    cache = folder / "CMakeCache.txt"
    if not cache.exists():
        return True
    home = re.search(r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$", cache.read_text(), re.M)
    return bool(home) and Path(home[1]) == ROOT


def configuration():
    out = []
    if not shutil.which("ninja"):
        out += ["-G", "Unix Makefiles"]
    if shutil.which("ccache"):
        out.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
    return out


# -- what is in it -----------------------------------------------------------------
#
# Files are a dict from the path in the archive to the content and mode.


def version():
    """Of the project: CMakeLists.txt is the one place that says it."""
    text = (ROOT / "CMakeLists.txt").read_text()
    return re.search(r"^project\(hornbeam VERSION ([\d.]+)", text, re.M)[1]


def dist_info():
    return "hornbeam-{}.dist-info".format(version())


def metadata():
    head = [
        ("Metadata-Version", "2.1"),
        ("Name", "hornbeam"),
        ("Version", version()),
        (
            "Summary",
            "Erlang-like nodes for Python: shared state, topics, services, calls",
        ),
        ("License", "Apache-2.0"),
        ("Classifier", "License :: OSI Approved :: Apache Software License"),
        ("Classifier", "Operating System :: POSIX :: Linux"),
        ("Classifier", "Programming Language :: C++"),
        ("Classifier", "Programming Language :: Python :: {}.{}".format(*PYTHON)),
        ("Classifier", "Programming Language :: Python :: Implementation :: CPython"),
        ("Classifier", "Typing :: Typed"),
        ("Requires-Python", "=={}.{}.*".format(*PYTHON)),
        ("Description-Content-Type", "text/markdown"),
    ]
    text = "".join("{}: {}\n".format(*x) for x in head)
    text += "\n" + (ROOT / "README.md").read_text(encoding="utf-8")
    wheel = [
        "Wheel-Version: 1.0",
        "Generator: hornbeam_build",
        "Root-Is-Purelib: false",
        "Tag: " + tag(),
    ]
    texts = {
        "METADATA": text,
        "WHEEL": "\n".join(wheel) + "\n",
        "entry_points.txt": "[console_scripts]\nhornbeam = _hornbeam_command:main\n",
        "LICENSE": (ROOT / "LICENSE").read_text(encoding="utf-8"),
    }
    return {
        dist_info() + "/" + name: (data.encode(), PLAIN) for name, data in texts.items()
    }


def staged(stage):
    """What was installed. Wheels have no links: a library goes under the name by
    which others ask for it, which is that of the link to it."""
    paths = [x for x in sorted(stage.rglob("*")) if not x.is_dir()]
    linked = {x.resolve() for x in paths if x.is_symlink()}
    for path in paths:
        if path not in linked:
            runs = os.access(str(path), os.X_OK)
            mode = EXECUTABLE if runs else PLAIN
            yield path.relative_to(stage).as_posix(), (path.read_bytes(), mode)


def licences_of_others(stage):
    """Those of the libraries that a wheel carries, as Debian's packages say them."""
    out = {}
    for path in sorted((stage / "hornbeam" / "_lib").iterdir()):
        if path.is_symlink() or path.name.startswith("libhornbeam"):
            continue
        asked = ["dpkg-query", "-S", "*/" + path.name]
        try:
            owner = subprocess.run(asked, stdout=subprocess.PIPE).stdout.decode()
        except FileNotFoundError:
            owner = ""
        package = owner.split(":")[0]
        notice = Path("/usr/share/doc", package, "copyright")
        if not package or not notice.exists():
            print("hornbeam: no licence found of " + path.name, file=sys.stderr)
            continue
        name = "{}/licences/{}".format(dist_info(), package)
        out[name] = (notice.read_bytes(), PLAIN)
    return out


def sources():
    """Those that git does not ignore; without git, as in a source distribution,
    all."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others"]
        command.append("--exclude-standard")
        names = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
        found = set(names.decode().split("\0"))
        return [x for x in sorted(found) if x and (ROOT / x).is_file()]
    made = {"build", "dist", ".git", "__pycache__"}
    return [
        x.relative_to(ROOT).as_posix()
        for x in sorted(ROOT.rglob("*"))
        if x.is_file()
        and not made & set(x.relative_to(ROOT).parts)
        and x != ROOT / "PKG-INFO"
    ]


# -- archives ------------------------------------------------------------------------


def moment():
    """When all files were changed last, as seconds since 1970: a fixed time, since
    that of a build says nothing. The first that a zip file can tell."""
    return int(os.environ.get("SOURCE_DATE_EPOCH", "315532800"))


def write_wheel(wheel_directory, files):
    record = dist_info() + "/RECORD"
    rows = io.StringIO()
    table = csv.writer(rows, lineterminator="\n")
    for name, (data, _) in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
        table.writerow([name, "sha256=" + digest.decode().rstrip("="), len(data)])
    table.writerow([record, "", ""])
    path = Path(wheel_directory, "hornbeam-{}-{}.whl".format(version(), tag()))
    with zipfile.ZipFile(str(path), "w") as out:
        # The metadata come last, for those who read a wheel from its end.
        names = sorted(files, key=lambda x: (x.startswith(dist_info()), x))
        for name in names:
            add(out, name, *files[name])
        add(out, record, rows.getvalue().encode(), PLAIN)
    return path.name


def add(out, name, data, mode):
    entry = zipfile.ZipInfo(name, time.gmtime(max(moment(), 315532800))[:6])
    entry.external_attr = (0o100000 | mode) << 16
    entry.create_system = 3  # Unix: the mode counts
    out.writestr(entry, data, zipfile.ZIP_DEFLATED, 9)


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "dist")
    target.mkdir(parents=True, exist_ok=True)
    print(target / build_wheel(str(target)))
