# SPDX-License-Identifier: Apache-2.0
"""Boots that never get far: whatever stops them, the good release runs again without anyone.

Each claim starts a fresh node whose disk was prepared from outside: base in one slot, and a release armed in the other, as an
update leaves it. So every one of them is the first boot of a trial.
"""

import re

from harness.node import check, check_runs
from harness.prepared import Prepared

# The machine's watchdog must bite, but a test need not wait for two minutes: systemd takes the time from here.
SHORT_WATCHDOG = "systemd.watchdog_sec=30"
# Starves everything, systemd included: since Linux 6.12 a server of its own gives ordinary tasks 5 % beside such.
HANG = "mount -t debugfs debugfs /sys/kernel/debug; " \
       "for f in /sys/kernel/debug/sched/fair_server/cpu*/runtime; do echo 0 >$f || exit 1; done; " \
       "sysctl -qw kernel.sched_rt_runtime_us=-1; for i in 1 2 3 4; do chrt -f 99 bash -c 'while :; do :; done' & done"
# Each claim starts a node of its own, whatever the others do.
SIDE_BY_SIDE = True


def setup(logs):
    return Prepared(logs, ("base", "security", "broken-module"))


def fell_back(scene, armed, *reasons):
    """base runs, verified and blessed; the armed release is rejected with one of the reasons."""
    node, bad = scene.node, scene.releases[armed]
    status = node.comes_back_with(scene.releases["base"])
    scene.took("the good release is healthy")
    check_runs(status, scene.releases["base"], "root-a")
    entry = node.rejected(bad.root_hash)
    check(entry, f"{bad.version} is not remembered as rejected: {status['rejected']}")
    check(entry["reason"] in reasons, f"rejected as {entry['reason']} ({entry.get('detail')}), not {' or '.join(reasons)}")
    seen = node.bootd()
    check(seen["next"] == seen["booted"]["entry"], f"{seen['next']} is next")
    check(node.wait_running() == "running", node.ok("systemctl --failed --no-legend"))
    return status


def test_corrupt_superblock(scene):
    scene.start("superblock", "security", lambda disk: disk.overwrite("root-b", 1024, b"\xa5" * 512))
    fell_back(scene, "security", "root-corrupt")


def test_corrupt_hash_tree(scene):
    scene.start("hash-tree", "security", lambda disk: disk.overwrite("root-b-verity", 4096, b"\xa5" * 65536))
    fell_back(scene, "security", "root-corrupt")


def test_missing_root_partition(scene):
    scene.start("missing-partition", "security", lambda disk: disk.delete("root-b"))
    fell_back(scene, "security", "root-missing")


def test_initrd_that_cannot_load_a_module(scene):
    scene.start("module", "broken-module")
    fell_back(scene, "broken-module", "boot-failed")


def test_watchdog_ends_a_hang(scene):
    """A system that stops while on trial: the machine resets it, and the firmware has counted the try."""
    node, armed = scene.start("hang", "security", extra=SHORT_WATCHDOG), scene.releases["security"]
    first = node.wait_boot()
    check(node.root_hash() == armed.root_hash, "the armed release does not run")
    node.wait_for("[ -e /dev/watchdog0 ]", 60)
    check(re.search(r"^RuntimeWatchdogUSec=30s", node.ok("systemctl show -p RuntimeWatchdogUSec"), re.M), "no watchdog is armed")
    before = node.bootd()["booted"]
    if before["blessed"]:
        raise AssertionError("the trial was over before the hang could be made")
    node.start_command(HANG)
    second = node.wait_boot()
    check(second.boot_id != first.boot_id, "the machine did not restart")
    after = node.bootd()["booted"]
    check(after["root_hash"] == armed.root_hash and after["tries_left"] == before["tries_left"] - 1,
          f"tries left: {before['tries_left']} before the hang, {after['tries_left']} after")
