# SPDX-License-Identifier: Apache-2.0
"""measuring: what a command costs, and how a long benchmark says where it is."""

import hashlib
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

_BEGAN = time.monotonic()


def say(text):
    """Where a long benchmark is; standard output is for results."""
    print(f"[{time.monotonic() - _BEGAN:5.0f}s] {text}", file=sys.stderr, flush=True)


def measure(*command, cwd=None, stdin=None):
    """Runs a command; its seconds, CPU seconds and the highest peak of resident bytes of one of its processes."""
    with tempfile.NamedTemporaryFile("r") as report:
        began = time.monotonic()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(["time", "-f", "%M", "-o", report.name, *map(str, command)], cwd=cwd, stdin=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        seconds = time.monotonic() - began
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()[-1000:]}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {"seconds": round(seconds, 3), "peak_bytes": int(report.read().split()[-1]) * 1024,
                "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 3)}


def resident(pid):
    """Bytes that a process has resident, and the most that it ever had; none if it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0, 0
    found = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+)", text, re.MULTILINE))
    return int(found.get("VmRSS", 0)) * 1024, int(found.get("VmHWM", 0)) * 1024


def children(pid):
    """The processes that one has started, and theirs."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
            direct = [int(word) for word in file.read().split()]
    except OSError:
        return []
    return direct + [grandchild for child in direct for grandchild in children(child)]


def quickest(costs):
    """What else the machine does only makes a run slower."""
    return min(costs, key=lambda cost: cost["seconds"])


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_empty(path, size):
    """What is written over: nothing of it is in the page cache."""
    path.unlink(missing_ok=True)
    with open(path, "wb") as file:
        file.truncate(size)


def warm(*paths):
    """Reads files, or all files below directories, once: what comes first is measured as what comes later, from the page cache."""
    for path in map(pathlib.Path, paths):
        for file in (path.rglob("*") if path.is_dir() else (path,)):
            if file.is_file() and not file.is_symlink():
                with open(file, "rb") as data:
                    while data.read(1 << 22):
                        pass


def drop_cache(path):
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
