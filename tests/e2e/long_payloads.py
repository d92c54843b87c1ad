# SPDX-License-Identifier: Apache-2.0
"""Each payload brings base to security, with 16 MiB of news, over a bad network and through a killed process and a power cut.

Each claim starts a fresh node. What went over the wire is counted between nginx and the guest.
"""

import json
import re

from harness.cutter import Cutter
from harness.node import Node, UPDATE_TIME_LIMIT, check, check_runs
from harness.scene import BY_HAND, FEED_AT, Scene, WATCHDOG

# What security alone brings differs from day to day; after a point release it is next to nothing.
NEW = "grown"
CUTS = 20
FRAME = 4 << 20  # the largest frame, and what is on its way in sockets and pipes when something breaks
METADATA = 1 << 20  # of the feed, and heads of payloads that were not taken
# Slow enough that there is a middle.
CONFIG = r"f+ /etc/proa/update.conf.d/70-fetch.conf 0644 - - - [fetch]\npayload={}\nmax_speed=2M\n" "\n"
UPDATE = "proa update --json >/run/proa-test/update.out 2>&1"
# Waits until the other slot's checkpoint says that so many bytes lie there.
HOLDS = "grep -Eq '\"done\" *: *[0-9]{{{digits},}}' {where}/checkpoint.json"
# Each claim starts a node of its own.
EACH_ALONE = True


def setup(logs):
    scene = Scene(logs, ("base", "security", NEW))
    scene.feed.publish(scene.releases["base"], scene.releases[NEW], deltas=1)
    return scene


def payload_sizes(scene):
    """({type: bytes} of its payloads in the feed, bytes of the largest payload of its UKI)"""
    version = scene.releases[NEW].version
    manifest = json.loads(next((scene.feed.folder / "targets").rglob(f"{version}/*.manifest.json")).read_bytes())
    return ({entry["type"]: entry["size"] for entry in manifest["payloads"]},
            max(entry["size"] for entry in manifest["uki"]["payloads"]))


def start_node(scene, payload):
    """A fresh node that runs base and fetches through a cutter; returns the cutter."""
    scene.node.throw_away()
    cutter = Cutter(scene.server.port)
    scene.node = Node(scene.logs, scene.releases["base"].disk, devices=WATCHDOG,
                      credentials={"tmpfiles.extra": BY_HAND + FEED_AT.format(cutter.url) + CONFIG.format(payload)})
    scene.node.start()
    scene.node.wait_boot()
    scene.node.settle()
    scene.node.wait_for("ip -4 route show default | grep -q .", 120)
    return cutter


def survives(scene, payload, least, most):
    """20 cuts, a kill -9 and a power cut in one update; it ends in the right root hash, and little was fetched twice."""
    cutter, node, new = start_node(scene, payload), scene.node, scene.releases[NEW]
    try:
        cutter.cut(CUTS, least // (2 * CUTS))
        node.start_command(UPDATE)
        node.wait_for(HOLDS.format(digits=8, where="/run/proa"), UPDATE_TIME_LIMIT)
        node.ok("pkill -KILL -x proa-install")
        node.wait_for("! pgrep -x 'proa-install|proa-fetch'", 60)
        node.start_command(UPDATE)
        node.wait_for(HOLDS.format(digits=9, where="/var/lib/proa"), UPDATE_TIME_LIMIT)
        node.cut_power()
        node.wait_boot()
        check_runs(node.settle(), scene.releases["base"], "root-a")
        status, answer = node.update()
        check(status == 0 and answer.get("ok") is not False, f"the update failed: {status}, {answer}")
        check(cutter.cuts_left == 0, f"{cutter.cuts_left} of {CUTS} cuts were not made")
        check(cutter.answered <= most + 2 * FRAME, f"{cutter.answered} bytes went over the wire, {most} would do without breaks")
        fetched = node.events("fetched")
        check(fetched and f"payload {payload}:" in fetched[-1]["detail"], f"history does not tell of the payload: {fetched}")
        check(re.search("were there already", fetched[-1]["detail"]), f"it began anew: {fetched[-1]}")
        check(node.run("test -e /var/lib/proa/checkpoint.json -o -e /run/proa/checkpoint.json").status != 0, "a checkpoint is left")
        node.trial_of(new)
        check(node.root_hash() == new.root_hash, "another root hash runs")
    finally:
        cutter.close()


def test_delta_survives(scene):
    """A delta: what is new and little more, whatever breaks."""
    sizes, uki = payload_sizes(scene)
    survives(scene, "delta", sizes["delta"], sizes["delta"] + uki + METADATA)


def test_blocks_survives(scene):
    """Blocks: less than a third of the full payload, whatever breaks."""
    sizes, uki = payload_sizes(scene)
    survives(scene, "blocks", sizes["full"] // 8, sizes["full"] // 3 + uki)


def test_full_survives(scene):
    """Full: its own size and the boot image's, and no more than what was under way twice."""
    sizes, uki = payload_sizes(scene)
    survives(scene, "full", sizes["full"], sizes["full"] + uki + METADATA)
