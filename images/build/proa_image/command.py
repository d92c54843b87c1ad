# SPDX-License-Identifier: Apache-2.0
"""command: runs other programs; a failing one becomes a Failure that carries its last words."""

import os
import pathlib
import subprocess

from .failure import Failure

LAST_LINES = 12


def run(argv, *, env=None, log=None, stdin=None, cwd=None):
    """Runs argv and returns its standard output as text.

    env: variables added to a clean environment. log: a file that receives both outputs (nothing is returned then).
    """
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        **{key: os.environ[key] for key in ("http_proxy", "https_proxy", "no_proxy") if key in os.environ},
        **(env or {}),
    }
    argv = [str(word) for word in argv]
    if log is not None:
        with open(log, "ab") as out:
            done = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                  cwd=cwd, check=False)
        if done.returncode != 0:
            raise Failure(f"{argv[0]} failed with status {done.returncode}; see {log}:\n{tail(log)}")
        return ""
    try:
        done = subprocess.run(argv, env=environment, stdin=stdin or subprocess.DEVNULL, capture_output=True, cwd=cwd,
                              check=False)
    except FileNotFoundError as error:
        raise Failure(f"{argv[0]}: not found; is this the builder root? (./dev image runs in it)") from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()[-LAST_LINES:]
        raise Failure(f"{argv[0]} failed with status {done.returncode}:\n" + "\n".join(f"  {line}" for line in words))
    return done.stdout.decode(errors="replace")


def tail(path, lines=LAST_LINES):
    """The last lines of a log, indented."""
    text = pathlib.Path(path).read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(f"  {line}" for line in text)
