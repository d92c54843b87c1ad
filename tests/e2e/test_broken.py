# SPDX-License-Identifier: Apache-2.0
"""A node that is offered releases that do not work, and whose disk rots at last: scenarios 4 and 6.

One guest lives through all of it, so the order matters; each function is one claim.
"""

import json

from harness.node import FALLBACK_TIME_LIMIT, check, check_runs
from harness.scene import Scene

NAMES = ("security", "broken-panic", "sound", "broken-containerd", "next")
# Changes a tenth of a slot, spread over all of it, past its file system and its hash tree.
CORRUPT = "for i in $(seq 0 2 390); do yes corrupt | dd of={device} bs=64k seek=$((i * 16)) count=4 conv=notrunc " \
          "iflag=fullblock status=none || exit 1; done; sync"


def setup(logs):
    return Scene(logs, NAMES, "security").begin()


# --- 4. releases that do not work ------------------------------------------------------------------------------


def stage(scene, name):
    """Publishes a release and brings it into the other slot."""
    release = scene.releases[name]
    scene.feed.publish(release)
    status, answer = scene.node.update()
    check(status == 0 and answer.get("ok") is True, f"status {status}, {answer}")
    check(answer["root_hash"] == release.root_hash, f"staged {answer}")
    return release


def fell_back(scene, release, *reasons):
    """After the armed release failed: security runs again by itself, the other is rejected and not taken again."""
    node, security = scene.node, scene.releases["security"]
    status = node.comes_back_with(security, FALLBACK_TIME_LIMIT)
    check_runs(status, security, "root-a")
    check(status["state"] == "fallen-back", f"state {status['state']}")
    entry = node.rejected(release.root_hash)
    check(entry, f"{release.version} is not remembered as rejected: {status['rejected']}")
    check(entry["reason"] in reasons, f"rejected as {entry['reason']} ({entry.get('detail')}), not {' or '.join(reasons)}")
    told = [one["event"] for one in node.history() if one.get("root_hash") == release.root_hash]
    check("fell-back" in told or "rejected" in told, f"history of {release.version}: {told}")
    code, answer = node.update()
    check(code != 0 and answer.get("reason") == "rejected-before", f"after the fall-back `proa update` gave {code}, {answer}")
    seen = node.bootd()
    check(seen["next"] == seen["booted"]["entry"], f"{seen['next']} is next")


def test_falls_back_from_a_kernel_that_panics(scene):
    release = stage(scene, "broken-panic")
    scene.node.start_command("proa reboot")
    fell_back(scene, release, "boot-failed")
    check(scene.node.serial.read_text(errors="replace").count("Kernel panic") >= 1, "no panic on the serial console")


def test_falls_back_from_a_root_corrupt_after_arming(scene):
    release = stage(scene, "sound")
    scene.node.ok(CORRUPT.format(device="/dev/disk/by-partlabel/root-b"), 300)
    scene.node.start_command("proa reboot")
    fell_back(scene, release, "root-corrupt")


def test_falls_back_from_a_broken_containerd(scene):
    # Its own /etc starts as a copy of this one's. What the health checks wait for by default takes five minutes.
    scene.node.ok("mkdir -p /etc/proa/health.conf.d && printf '[health]\\ndeadline=75s\\n' >/etc/proa/health.conf.d/50-test.conf")
    release = stage(scene, "broken-containerd")
    scene.node.leave_one_try(release)
    scene.node.start_command("proa reboot")
    fell_back(scene, release, "containerd-down")
    scene.node.ok("rm /etc/proa/health.conf.d/50-test.conf")


def test_a_good_release_after_the_bad_ones_is_taken(scene):
    release = stage(scene, "next")
    check_runs(scene.node.trial_of(release), release, "root-b")
    check(scene.node.status()["state"] == "good", f"state {scene.node.status()['state']}")


# --- 6. the disk rots under the running root -------------------------------------------------------------------


def test_leaves_a_root_that_rots_while_it_runs(scene):
    node, rotten, other = scene.node, scene.releases["next"], scene.releases["security"]
    check_runs(node.status(), rotten, "root-b")
    check(node.bootd()["booted"]["blessed"] is True, "the root must be blessed for this")
    node.ok(CORRUPT.format(device="/dev/disk/by-partlabel/root-b"), 300)
    node.start_command("echo 3 >/proc/sys/vm/drop_caches; find /usr -xdev -type f -exec cat {} + >/dev/null")
    status = node.comes_back_with(other)
    check_runs(status, other, "root-a")
    entry = node.rejected(rotten.root_hash)
    check(entry and entry["reason"] == "root-corrupt", f"rejected: {status['rejected']}")
    told = [one["event"] for one in node.history() if one.get("root_hash") == rotten.root_hash]
    check("root-corrupt" in told or "gave-up" in told, f"history: {told}")


def test_stays_on_the_sound_root(scene):
    node, other = scene.node, scene.releases["security"]
    node.reboot("proa reboot")
    check_runs(node.settle(), other, "root-a")
    problems = json.dumps(node.status().get("problems", []))
    check(problems == "[]", f"problems: {problems}")
