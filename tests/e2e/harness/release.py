# SPDX-License-Identifier: Apache-2.0
"""release: the releases that the tests use, built if they are not there yet."""

import dataclasses
import json
import os
import pathlib
import random
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[3]
# A developer's other build directories: PROA_MESON_DIR for the programs, PROA_TOP for the images.
MESON_DIR = pathlib.Path(os.environ.get("PROA_MESON_DIR", TOP / "build/meson"))
IMAGES = pathlib.Path(os.environ.get("PROA_TOP", TOP)) / "build/images"
DEFINITION = "tests/e2e/releases.toml"
# What is new in the release "grown": bytes that nothing makes smaller.
GROWN, GROWN_BY = TOP / "build/e2e-grown/usr/share/proa/test-data", 16 << 20


@dataclasses.dataclass(frozen=True)
class Release:
    """A made release: its directory, and what its papers say."""

    name: str
    folder: pathlib.Path
    version: str
    root_hash: str

    @property
    def disk(self):
        return self.folder / "disk.qcow2"

    @property
    def manifest(self):
        return json.loads((self.folder / "release.json").read_text())


def read(name):
    """The release of that name; it must have been built."""
    folder = IMAGES / name
    papers = json.loads((folder / "release.json").read_text())
    return Release(name, folder, papers["version"], papers["root"]["hash"])


def build(names, log):
    """Builds releases (those of the node's own definition, or of tests/e2e/releases.toml) and returns them by name."""
    own = [name for name in names if name in ("base", "security")]
    test = [name for name in names if name not in own]
    _make_grown()
    log = pathlib.Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as out:
        for chosen, more in ((own, []), (test, ["--definition", DEFINITION])):
            if not chosen:
                continue
            command = [sys.executable, "images/build/proa-image", "build", "--meson-dir", str(MESON_DIR), *more, *chosen]
            done = subprocess.run(command, cwd=TOP, stdout=out, stderr=subprocess.STDOUT)
            if done.returncode:
                raise AssertionError(f"building {' '.join(chosen)} failed: {_last_line(log)} (log: {log})")
    return {name: read(name) for name in names}


def _make_grown():
    """The overlay that tests/e2e/releases.toml names; the same bytes each time. Others may do this at the same moment."""
    if GROWN.exists() and GROWN.stat().st_size == GROWN_BY:
        return
    GROWN.parent.mkdir(parents=True, exist_ok=True)
    new = TOP / f"build/e2e-grown.{os.getpid()}"
    new.write_bytes(random.Random(1).randbytes(GROWN_BY))
    new.rename(GROWN)


def _last_line(log):
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no word"
