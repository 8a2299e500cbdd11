"""Prepares a fresh machine: .venv, the pinned packages, the ARM toolchain. Standard library only: it runs before
anything is installed, with whatever python3 the machine has.

With the argument `fuzz` also clang and libFuzzer, with `lint` the linters of C. A stamp in .venv names what was installed,
so that a second call does nothing.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import List, NoReturn, Tuple

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "tinyrig-stamp"
SUPPORTED = ((3, 11), (3, 12), (3, 13))
EXTRAS = "litert,variants,search,peer,postgres,parquet,swd,energy,docs,dev"
ARM_PACKAGES = ["gcc-arm-none-eabi", "libnewlib-arm-none-eabi"]
HOST_PACKAGES = ["gcc", "libc6-dev"]
FUZZ_PACKAGES = ["clang", "libclang-rt-dev"]
LINT_PACKAGES = ["cppcheck"]
TO_FETCH = {ARM_PACKAGES[0]: "about 100 MB to fetch, 1-2 minutes", FUZZ_PACKAGES[0]: "about 55 MB to fetch, 1-2 minutes"}


def say(text: str) -> None:
    print("setup: " + text, flush=True)


def fail(text: str) -> NoReturn:
    print("setup: " + text, file=sys.stderr, flush=True)
    sys.exit(3)


def runs_as(python: str, version: Tuple[int, int]) -> bool:
    """Whether this interpreter starts and is what its name says: version managers leave names behind that do not."""
    ask = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip() == "%d.%d" % version


def supported_python() -> str:
    """The path of a Python that tinyrig supports: the running one, or another that is installed.

    Where .venv is activated, python3 is .venv's own: the one behind it counts, or setup would do its work again and could
    not make .venv again with an interpreter that it has just removed.
    """
    if sys.version_info[:2] in SUPPORTED:
        return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    for version in reversed(SUPPORTED):
        found = shutil.which("python%d.%d" % version)
        if found and runs_as(found, version):
            return found
    fail(
        "expected Python 3.11 to 3.13, received %d.%d; install one of them (apt-get install python3.12) and run make again"
        % sys.version_info[:2]
    )


def wanted_stamp(python: str) -> str:
    """What has to be installed, as one hash: sources of the decision, interpreter, and where the .venv lies."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt", "harness/bootstrap.py"):
        digest.update((ROOT / name).read_bytes())
    digest.update(("%s %s" % (python, VENV)).encode())
    return digest.hexdigest()


def missing_debian_packages() -> List[str]:
    """The Debian packages that the toolchain still needs."""
    missing = [] if shutil.which("cc") or shutil.which("gcc") else list(HOST_PACKAGES)
    arm = shutil.which("arm-none-eabi-gcc")
    if not arm:
        return missing + ARM_PACKAGES
    nano = subprocess.run([arm, "-print-file-name=nano.specs"], capture_output=True, text=True, check=False).stdout.strip()
    return missing + ([] if os.path.isabs(nano) else ARM_PACKAGES[1:])


def missing_fuzz_packages() -> List[str]:
    """The Debian packages that libFuzzer still needs: clang and the runtime of its version."""
    if not shutil.which("clang"):
        return list(FUZZ_PACKAGES)
    target = "int LLVMFuzzerTestOneInput(const char *p, unsigned long n) { return p == 0 && n == 0; }"
    command = ["clang", "-fsanitize=fuzzer,address,undefined", "-x", "c", "-", "-o", os.devnull]
    linked = subprocess.run(command, input=target, capture_output=True, text=True, check=False).returncode == 0
    return [] if linked else FUZZ_PACKAGES[1:]


def missing_lint_packages() -> List[str]:
    """The Debian packages that the linters of C still need; each has a program of its own name."""
    return [name for name in LINT_PACKAGES if not shutil.which(name)]


def missing_for(words: List[str]) -> Tuple[List[str], str]:
    """(Debian packages, what for) of what else the command line asks for: `fuzz`, `lint`."""
    if words == ["fuzz"]:
        return missing_fuzz_packages(), "libFuzzer"
    if words == ["lint"]:
        return missing_lint_packages(), "linters of C"
    return [], ""


def apt_install(packages: List[str], why: str) -> None:
    """Installs Debian packages, as root or through sudo; where neither works, one line says what to install."""
    command = "apt-get install --no-install-recommends " + " ".join(packages)
    if not shutil.which("apt-get"):
        fail("%s: no apt-get here; install the equivalent of: %s" % (why, " ".join(packages)))
    prefix: List[str] = []
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            fail("%s: not root and no sudo; have an administrator run: %s" % (why, command))
        prefix = ["sudo"] if sys.stdin.isatty() else ["sudo", "-n"]
    size = "".join(" (%s)" % TO_FETCH[name] for name in packages if name in TO_FETCH)
    say("%s: installing %s%s" % (why, " ".join(packages), size))
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    subprocess.run([*prefix, "apt-get", "update", "-qq"], check=False, env=environment)
    install = [*prefix, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    if subprocess.run(install, env=environment, check=False, stdout=subprocess.DEVNULL).returncode:
        fail("%s: apt-get failed; run it yourself and then make again: %s" % (why, command))


def make_venv(python: str) -> None:
    """Creates .venv afresh; Debian keeps the module for it in a package of its own."""
    shutil.rmtree(VENV, ignore_errors=True)
    command = [python, "-m", "venv", str(VENV)]
    if subprocess.run(command, capture_output=True, check=False).returncode == 0:
        return
    shutil.rmtree(VENV, ignore_errors=True)
    for version in SUPPORTED:
        if runs_as(python, version):
            apt_install(["python%d.%d-venv" % version], "Python's venv module")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        fail("%s can't create .venv: %s" % (python, (done.stdout + done.stderr).strip()))


def install_packages() -> None:
    """The pinned packages, with pip's own progress on a terminal."""
    say("installing the Python packages into .venv (about 900 MB to fetch, 2-5 minutes)")
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    base = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", *quiet]
    target = "%s[%s]" % (ROOT, EXTRAS)
    if subprocess.run(
        [*base, "--constraint", str(ROOT / "constraints.txt"), "--editable", target], check=False, cwd=ROOT
    ).returncode:
        fail("pip could not install the packages; the lines above say why. Nothing is half-done: run make again once it is fixed")


def main() -> None:
    start = time.monotonic()
    if os.name != "posix" or sys.platform == "darwin":
        say("only Debian and Ubuntu are tested; continuing")
    python = supported_python()
    stamp = wanted_stamp(python)
    needed = missing_debian_packages()
    if needed:
        apt_install(needed, "ARM and host compilers")
    wanted, why = missing_for(sys.argv[1:])
    if wanted:
        apt_install(wanted, why)
    if STAMP.exists() and STAMP.read_text() == stamp:
        return
    if not PYTHON.exists() or not STAMP.exists():
        make_venv(python)
    STAMP.unlink(missing_ok=True)
    install_packages()
    STAMP.write_text(stamp)
    say("ready after %.0f s" % (time.monotonic() - start))


if __name__ == "__main__":
    main()
