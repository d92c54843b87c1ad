# SPDX-License-Identifier: Apache-2.0
"""feed: feeds made by proa-feed, and copies of them that are broken in one way each.

All feeds have the keys of build/feed-keys, and the root metadata that the images ship.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

from .release import MESON_DIR

TOP = pathlib.Path(__file__).resolve().parents[3]
KEYS = TOP / "build/feed-keys"
SHIPPED = TOP / "build/feed"  # proa-image makes its root metadata with the keys, and puts it into the images (images/node/node.toml)
TOOL = MESON_DIR / "images/feed/proa-feed"
BREAKER = TOP / "tests/tools/feed-break.py"
HEADER_ROOT_HASH = 32  # offset of the root hash in a payload's header (docs/formats.md)


def run(verb, feed, *arguments, keys=False):
    """Runs proa-feed; its JSON answer. A failure is an AssertionError with what it said."""
    command = [str(TOOL), verb, "--feed", str(feed), "--json", *(["--keys", str(KEYS)] if keys else []), *map(str, arguments)]
    done = subprocess.run(command, cwd=TOP, text=True, capture_output=True)
    if done.returncode:
        raise AssertionError(f"proa-feed {verb} failed: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout)


class Feed:
    """A feed in a directory. Releases come into it one by one, as a publisher adds them."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    @classmethod
    def new(cls, folder):
        """An empty feed that the images trust."""
        folder = pathlib.Path(folder)
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        run("init", folder, keys=True)
        # The same root as in the images, with whatever its publisher did to it since.
        for path in (SHIPPED / "metadata").glob("*.root.json"):
            shutil.copy(path, folder / "metadata")
        return cls(folder)

    def publish(self, *releases, deltas=0):
        """Adds releases (directories of proa-image, or Release), with deltas from so many before them, and publishes."""
        for release in releases:
            run("add", self.folder, "--no-trees", "--deltas", deltas, getattr(release, "folder", release))
        run("publish", self.folder, keys=True)

    def copy(self, folder):
        """A feed with the same content that can be changed without changing this one."""
        shutil.rmtree(folder, ignore_errors=True)
        # Payloads are large and shared; replace() breaks the link of what it changes.
        shutil.copytree(self.folder, folder, copy_function=os.link)
        for path in (pathlib.Path(folder) / ".proa-feed", pathlib.Path(folder) / "metadata"):
            for file in filter(pathlib.Path.is_file, path.glob("*")):
                replace(file, file.read_bytes())
        return Feed(folder)

    def break_it(self, how, *arguments):
        """Breaks this feed in one of the ways of tests/tools/feed-break.py."""
        done = subprocess.run([sys.executable, str(BREAKER), "--feed", str(self.folder), "--keys", str(KEYS), how, *arguments],
                              text=True, capture_output=True)
        if done.returncode:
            raise AssertionError(f"feed-break.py {how} failed: {done.stderr.strip()[-400:]}")

    def timestamp(self):
        """The version of the feed's timestamp."""
        return json.loads((self.folder / "metadata/timestamp.json").read_bytes())["signed"]["version"]

    def catch_up(self, other):
        """Publishes until this feed is newer than `other`: a node that saw that one takes nothing older."""
        while self.timestamp() <= other.timestamp():
            self.publish()


def release_with_wrong_root_hash(release, folder, version):
    """A release directory whose papers and payload header agree on another root hash than the bytes have."""
    folder = pathlib.Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(release.folder, folder, copy_function=os.link, ignore=shutil.ignore_patterns("disk.*", "*.blocks", "uki.full", ".*"))
    papers = json.loads((folder / "release.json").read_bytes())
    wrong = ("0" if release.root_hash[0] != "0" else "1") + release.root_hash[1:]
    papers["version"], papers["root"]["hash"] = version, wrong
    replace(folder / "release.json", json.dumps(papers, indent=1).encode())
    payload = bytearray((folder / "root.full").read_bytes())
    payload[HEADER_ROOT_HASH:HEADER_ROOT_HASH + 32] = bytes.fromhex(wrong)
    replace(folder / "root.full", bytes(payload))
    return folder


def replace(path, data):
    """Writes a new file in the place of one that may have other names."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(data)
    new.rename(path)
