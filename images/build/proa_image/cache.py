# SPDX-License-Identifier: Apache-2.0
"""cache: directories named by a digest of what they are made from. One that exists is whole."""

import fcntl
import os
import pathlib
import shutil

from .progress import step


class Cache:
    """A directory of made things. What is being made has another name until it is whole."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def get(self, key):
        """The directory of that key, or None. Counts as a use."""
        path = self.folder / key
        if not path.is_dir():
            return None
        os.utime(path)
        return path

    def begin(self, key):
        """An empty directory to make that key's content in; commit() or nothing follows."""
        path = self.folder / f"{key}.new"
        remove(path)
        path.mkdir(mode=0o755)
        return path

    def commit(self, key):
        """What was begun is whole: gives it its name and returns it."""
        path = self.folder / key
        remove(path)
        (self.folder / f"{key}.new").rename(path)
        return path

    def forget(self, keep):
        """Removes what an interrupted build left, and all but the `keep` directories used last."""
        entries = sorted(self.folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        whole = [path for path in entries if path.suffix != ".new"]
        for path in [path for path in entries if path.suffix == ".new"] + whole[keep:]:
            remove(path)


def remove(path):
    """Removes a directory with all that is in it, if it exists."""
    if pathlib.Path(path).exists():
        shutil.rmtree(path)


def lock(path):
    """Waits until no other build works below the directory of `path`; the lock lasts until the process ends."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "w", encoding="utf-8")  # kept open on purpose
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        step("waiting for another build to end")
        fcntl.flock(file, fcntl.LOCK_EX)
    return file
