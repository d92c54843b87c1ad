#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Benchmarks on the real thing: the base release as it was built, and a large feed.

usage: tests/bench/run.py [--json] [--only PART[,PART...]] [NAME...]

  hash-tree   building the hash tree of base's root image, as each update does after writing
  apply       streaming base's full payload into an image: digest, decompression, memory
  trust       a full refresh of a feed with 1,000 targets and 8 delegations, and an idle poll, beside python3-tuf's client
  payload     payloads of the update from base to security, made and applied, against an OSTree static delta, rauc, casync, zchunk,
              zstd --patch-from and bsdiff, and how they grow with packages, releases and image size; half an hour. --only runs
              some of its parts: ours ostree rauc casync zchunk zstd bsdiff growth
  boot        power-on to healthy in QEMU, and the idle memory of our daemons
  rauc-install  only if named: a real streaming install by rauc in a Debian guest, its bytes counted at nginx, beside what `payload`
              computes for it; ten minutes

Numbers of a machine that does other things at the same time say little. --json prints one JSON object a line.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/e2e"))
from harness import release  # noqa: E402
import payload  # noqa: E402

PROGRAMS = release.MESON_DIR / "tests/bench"


def compiled(name, *arguments):
    """Runs a C benchmark; its results."""
    subprocess.run(["ninja", "-C", str(release.MESON_DIR), f"tests/bench/bench-{name}"], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run([str(PROGRAMS / f"bench-{name}"), *map(str, arguments)], check=True, text=True, capture_output=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def hash_tree(base):
    return compiled("hash-tree", base.folder / "root.img")


def apply(base):
    return compiled("apply", base.folder / "root.full", base.root_hash)


def trust():
    import trust as bench
    subprocess.run(["ninja", "-C", str(release.MESON_DIR), "tests/bench/bench-trust"], check=True, stdout=subprocess.DEVNULL)
    return bench.bench(PROGRAMS / "bench-trust")


def payloads(base, only=None):
    return [payload.run(TOP, release.MESON_DIR, base, release.read("security"), only)]


def rauc_install(base):
    import rauc_guest
    return [rauc_guest.run(TOP, base, release.read("security"))]


def build_images():
    """Whether both releases are there: a fresh clone has none yet, and their making tells how far it is."""
    wanted = ("release.json", "root.img", "root.verity", "root.full", "uki.efi", "uki.full")
    if all((release.IMAGES / name / file).exists() for name in ("base", "security") for file in wanted):
        return True
    print("bench: building the releases base and security first", file=sys.stderr, flush=True)
    command = [sys.executable, "images/build/proa-image", "build", "--meson-dir", str(release.MESON_DIR)]
    return subprocess.run(command, cwd=TOP, stdout=sys.stderr).returncode == 0


def boot(base):
    from harness.node import Node
    from harness.scene import BY_HAND, WATCHDOG
    node = Node(TOP / "build/test-logs/bench", base.disk, devices=WATCHDOG, credentials={"tmpfiles.extra": BY_HAND})
    try:
        began = time.monotonic()
        node.start()
        node.wait_boot()
        reached = time.monotonic() - began
        node.wait_running()
        running = time.monotonic() - began
        node.settle()
        return [{"bench": "boot", "accelerator": os.environ.get("PROA_ACCEL", "tcg"), "seconds_to_userspace": round(reached, 1),
                 "seconds_to_running": round(running, 1), "seconds_to_blessed": round(time.monotonic() - began, 1)}]
    finally:
        node.throw_away()


BENCHES = {"hash-tree": hash_tree, "apply": apply, "payload": payloads, "boot": boot, "trust": trust, "rauc-install": rauc_install}
IF_NAMED = {"rauc-install"}
WITHOUT_BASE = {"trust"}


def main():
    words, only = sys.argv[1:], None
    if "--only" in words[:-1]:
        at = words.index("--only")
        only = words[at + 1].split(",")
        del words[at:at + 2]
    names = [word for word in words if not word.startswith("-")]
    if any(word in ("-h", "--help") for word in sys.argv[1:]):
        print(__doc__.strip())
        return 0
    if only and set(only) - set(payload.PARTS):
        print(f"bench: no such part: {' '.join(set(only) - set(payload.PARTS))} (there are: {' '.join(payload.PARTS)})", file=sys.stderr)
        return 2
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"bench: no such benchmark: {' '.join(unknown)} (there are: {' '.join(BENCHES)})", file=sys.stderr)
        return 2
    names = names or [name for name in BENCHES if name not in IF_NAMED]
    if set(names) - WITHOUT_BASE and not build_images():
        print("bench: the releases base and security could not be built; ./dev image says more", file=sys.stderr)
        return 1
    base = [release.read("base")] if set(names) - WITHOUT_BASE else []
    for name in names:
        for result in BENCHES[name](*([] if name in WITHOUT_BASE else base), **({"only": only} if name == "payload" and only else {})):
            if "--json" in sys.argv:
                print(json.dumps(result), flush=True)
            elif name == "payload":
                print(payload.table(result), flush=True)
            else:
                print("  ".join(str(value) if key == "bench" else f"{key} {value}" for key, value in result.items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
