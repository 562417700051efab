"""Work on files, timed where it is done. Arguments: the kind of work, and an empty folder for it. Prints seconds."""
import os
import shutil
import subprocess
import sys
import time

kind, folder = sys.argv[1:]
BLOCK = os.urandom(1 << 20)


def sequential():
    """256 MiB written to the disk, and read."""
    path = os.path.join(folder, "big")
    with open(path, "wb", buffering=0) as file:
        for _ in range(256):
            file.write(BLOCK)
        os.fsync(file.fileno())
    with open(path, "rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while file.read(1 << 20):
            pass


def small():
    """4,000 files of 4 KiB in 40 folders: made, listed, read and removed."""
    for number in range(40):
        inner = os.path.join(folder, "d%d" % number)
        os.mkdir(inner)
        for name in range(100):
            with open(os.path.join(inner, "f%d" % name), "wb") as file:
                file.write(BLOCK[:4096])
    for inner, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(inner, name), "rb") as file:
                file.read()
    shutil.rmtree(os.path.join(folder, "d0"))
    os.sync()


def many():
    """100,000 empty files, for a snapshot."""
    for number in range(100):
        inner = os.path.join(folder, "d%d" % number)
        os.mkdir(inner)
        for name in range(1000):
            os.close(os.open(os.path.join(inner, "f%d" % name), os.O_CREAT | os.O_WRONLY))
    os.sync()


def run(*argv):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)


def git_clone():
    """A repository of 2,000 files, cloned."""
    run("git", "clone", "--no-local", "/root/bench/repository", "clone")


def pip_install():
    """A package of 2,000 modules, installed into an environment."""
    run(sys.executable, "-m", "venv", "--system-site-packages", "env")
    run("env/bin/python3", "-m", "pip", "install", "--no-index", "--no-build-isolation", "--no-deps", "/root/bench/package")


def prepare():
    """What is cloned and installed, on the instance's own disk."""
    os.makedirs("/root/bench/package/many", exist_ok=True)
    for number in range(2000):
        with open("/root/bench/package/many/m%d.py" % number, "w") as file:
            file.write("value = %r\n" % ("x" * 2000))
    open("/root/bench/package/many/__init__.py", "w").close()
    with open("/root/bench/package/setup.py", "w") as file:
        file.write("from setuptools import setup\nsetup(name='many', version='1', packages=['many'])\n")
    shutil.copytree("/root/bench/package", "/root/bench/repository", dirs_exist_ok=True)
    for argv in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "all"]):
        subprocess.run(["git", "-C", "/root/bench/repository", *argv], check=True, stdout=subprocess.DEVNULL)


started = time.perf_counter()
{"sequential": sequential, "small": small, "many": many, "git": git_clone, "pip": pip_install, "prepare": prepare}[kind]()
print(time.perf_counter() - started)
