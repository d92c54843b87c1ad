# SPDX-License-Identifier: Apache-2.0
"""The life of one node, from its first boot over refused releases to an update, back and forward: scenarios 1, 3, 2 and 5.

One guest lives through all of it, so the order matters; each function is one claim.
"""

import re

from harness import feed
from harness.node import check, check_runs
from harness.scene import Scene

IDLE_PSS_BUDGET_KIB = 24 * 1024
UPDATER_MEMORY_BUDGET = 32 * 1024 * 1024
CANARY = "/usr/share/proa/images/canary.tar"
NAMES = ("base", "security")


def setup(logs):
    return Scene(logs, NAMES).begin()


# --- 1. base boots ---------------------------------------------------------------------------------------------


def test_base_runs_from_a_verified_root(scene):
    base, node = scene.releases["base"], scene.node
    check_runs(node.status(), base, "root-a")
    check(node.root_hash() == base.root_hash, "the kernel's command line names another root hash")
    source = node.ok("findmnt -no SOURCE /").strip()
    check(source == "/dev/mapper/root", f"/ is mounted from {source}")
    table = node.ok("dmsetup table root")
    check(" verity " in table and base.root_hash in table, f"/dev/mapper/root is not this release's verity device: {table}")
    check(node.ok("dmsetup status root").split()[-1] == "V", "dm-verity met a corrupt block")
    release = node.ok("cat /etc/os-release")
    for line in ('ID="?proa"?', 'ID_LIKE="?debian"?', 'IMAGE_ID="?proa"?', f'IMAGE_VERSION="?{re.escape(base.version)}"?'):
        check(re.search(f"^{line}$", release, re.M), f"os-release has no {line}")


def test_nothing_failed_and_the_boot_is_blessed(scene):
    check(scene.node.wait_running() == "running", scene.node.ok("systemctl --failed --no-legend"))
    booted = scene.node.bootd()["booted"]
    check(booted["blessed"] is True and booted["tries_left"] is None, f"not blessed: {booted}")


def test_root_and_usr_cannot_be_written(scene):
    node = scene.node
    for path in ("/probe", "/usr/probe", "/usr/lib/proa/probe", "/usr/bin/proa"):
        result = node.run(f"echo x >>{path}")
        check(result.status != 0 and "Read-only file system" in result.output, f"writing {path}: {result}")
    for where in ("/", "/usr"):
        check(node.run(f"mount -o remount,rw {where} && touch {where}/probe").status != 0, f"{where} could be made writable")
    check(node.run("dd if=/dev/zero of=/dev/mapper/root bs=4096 count=1 conv=fsync").status != 0, "the verity device took a write")
    for tool in ("apt", "apt-get", "dpkg"):
        check(node.run(f"command -v {tool}").status != 0, f"{tool} is on the node")


def test_containerd_runs_a_container_from_the_tree(scene):
    node = scene.node
    node.ok(f"ctr images import {CANARY}", 120)
    image = node.ok("ctr images ls -q").split()[0]
    result = node.run(f"ctr run --rm {image} canary", 180)
    check(result.status == 0 and result.output.strip(), f"the container gave {result}")


def test_ssh_is_off(scene):
    check(scene.node.run("systemctl is-active ssh.service ssh.socket sshd.service").status != 0, "sshd runs by default")
    check(":22 " not in scene.node.ok("ss -Hltn"), "something listens on port 22")


def test_daemons_are_small_when_idle(scene):
    lines = [line.split() for line in scene.node.ok(
        "for p in $(pgrep -x 'proad|proa-.*'); do echo $(cat /proc/$p/comm) $(awk '/^Pss:/ { print $2 }' /proc/$p/smaps_rollup); done"
    ).splitlines()]
    check({"proad", "proa-guard"} <= {name for name, _ in lines}, f"not all daemons run: {lines}")
    total = sum(int(size) for _, size in lines)
    check(total <= IDLE_PSS_BUDGET_KIB, f"{total} KiB PSS, at most {IDLE_PSS_BUDGET_KIB}: {lines}")


# --- 3. what must be refused -----------------------------------------------------------------------------------


def refused(scene, *reasons):
    """An update is refused for one of these reasons; nothing is armed, and the node goes on."""
    node, base = scene.node, scene.releases["base"]
    before = node.ok("cat /proc/sys/kernel/random/boot_id")
    status, answer = node.update()
    check(status in (1, 3) and answer.get("ok") is False, f"the update was not refused: status {status}, {answer}")
    check(answer["reason"] in reasons, f"refused as {answer['reason']} ({answer.get('message')}), not {' or '.join(reasons)}")
    check(answer.get("message") and answer.get("hint"), f"no message or no hint: {answer}")
    told = node.status()
    check(told["state"] != "staged" and not told["staged"], f"after a refusal something is staged: {told['staged']}")
    seen = node.bootd()
    check(seen["next"] == seen["booted"]["entry"], f"after a refusal {seen['next']} is next")
    check(not seen["other"]["bootable"], f"after a refusal the other slot boots: {seen['other']}")
    check(node.entries() == [seen["booted"]["entry"]], f"entries on the ESP: {node.entries()}")
    check(node.ok("cat /proc/sys/kernel/random/boot_id") == before, "the node restarted")
    check_runs(told, base, "root-a")
    check(node.ok("systemctl is-system-running").strip() == "running", "the node is not well any more")
    history = [entry for entry in node.history() if entry["event"] in ("refused", "failed")]
    check(history and history[-1]["reason"] == answer["reason"], f"history does not tell of it: {history[-1:]}")


def broken_feed(scene, name):
    """A feed of its own with security in it, served from now on."""
    if not list((scene.feed.folder / "payloads").glob("*.full")):
        scene.feed.publish(scene.releases["security"])
    made = scene.feed.copy(scene.work(name))
    scene.server.serve(made.folder)
    return made


def test_refuses_metadata_with_a_wrong_signature(scene):
    broken_feed(scene, "wrong-signature").break_it("bad-signature")
    refused(scene, "bad-signature")


def test_refuses_a_payload_with_one_flipped_byte(scene):
    broken_feed(scene, "flipped-byte").break_it("flip-payload", scene.releases["security"].version)
    refused(scene, "payload-digest")


def test_refuses_a_truncated_payload(scene):
    broken_feed(scene, "truncated").break_it("truncate-payload", scene.releases["security"].version)
    refused(scene, "payload-truncated")


def test_refuses_a_manifest_with_a_wrong_root_hash(scene):
    made = broken_feed(scene, "wrong-manifest")
    made.break_it("wrong-root-hash", scene.releases["security"].version)
    refused(scene, "root-hash-mismatch", "bad-payload", "payload-digest")
    scene.feed.catch_up(made)


def test_refuses_bytes_that_are_not_of_the_root_hash(scene):
    """The publisher's own mistake: manifest and payload agree, and only reading back what was written can tell."""
    made = broken_feed(scene, "wrong-bytes")
    made.publish(feed.release_with_wrong_root_hash(scene.releases["security"], scene.work("wrong-bytes-release"), "1.0.1.1"))
    refused(scene, "root-hash-mismatch")
    scene.feed.catch_up(made)


def test_refuses_half_a_transfer_of_a_server_that_died(scene):
    """Of the payload that is longest, into a slot that holds nothing of it: else the node would copy what is there."""
    node = scene.node
    node.ok("mkdir -p /etc/proa/update.conf.d; printf '[fetch]\\npayload=full\\n' >/etc/proa/update.conf.d/50-test.conf; "
            "dd if=/dev/zero of=/dev/disk/by-partlabel/root-b bs=1M count=332 conv=fsync")
    scene.server.stop()
    scene.server.serve(scene.feed.folder)
    scene.server.start(bytes_a_second=8 * 1000 * 1000)
    death = scene.server.kill_after(20 * 1000 * 1000)
    try:
        refused(scene, "transfer-interrupted")
        check(death.sent >= 20 * 1000 * 1000, f"the server died after {death.sent} bytes: too early to prove anything")
    finally:
        scene.server.kill()
        scene.server.start()
        node.ok("rm /etc/proa/update.conf.d/50-test.conf")


# --- 2. security comes -----------------------------------------------------------------------------------------


def test_update_brings_security_into_the_other_slot(scene):
    node, security = scene.node, scene.releases["security"]
    scene.server.serve(scene.feed.folder)
    # The processes are gone when the update is done, so they are looked at while they run. PSS, since they share libraries.
    node.ok("rm -f /run/proa-test/peak; cat >/run/proa-test/peak.sh <<'EOF'\n"
            "while :; do\n"
            "  sum=0\n"
            "  for p in $(pgrep -x 'proa-install|proa-fetch'); do\n"
            "    k=$(awk '/^Pss:/ { print $2 }' /proc/$p/smaps_rollup 2>/dev/null); sum=$((sum + ${k:-0}))\n"
            "  done\n"
            "  [ $sum -gt 0 ] && echo $sum >>/run/proa-test/peak\n"
            "  sleep 0.3\n"
            "done\n"
            "EOF\n"
            "(bash /run/proa-test/peak.sh >/dev/null 2>&1 & echo $! >/run/proa-test/peak.pid)")
    status, answer = node.update()
    node.run("kill $(cat /run/proa-test/peak.pid)")
    check(status == 0 and answer.get("ok") is True, f"status {status}, {answer}")
    check(answer["version"] == security.version and answer["root_hash"] == security.root_hash, f"brought {answer}")
    told, seen = node.status(), node.bootd()
    check(told["state"] == "staged" and told["staged"]["version"] == security.version, f"state {told['state']}: {told['staged']}")
    check(seen["other"]["slot"] == "root-b" and seen["other"]["root_hash"] == security.root_hash, f"other slot: {seen['other']}")
    check(seen["next"] == f"proa_{security.version}+3.efi", f"{seen['next']} is next")
    check(f"proa_{security.version}+3.efi" in node.entries(), f"entries on the ESP: {node.entries()}")


def test_the_updater_is_small(scene):
    sizes = [int(line) * 1024 for line in scene.node.ok("cat /run/proa-test/peak").split()]
    check(sizes, "no sample was taken")
    check(max(sizes) <= UPDATER_MEMORY_BUDGET, f"{max(sizes) / 2**20:.1f} MiB at the peak, at most 32")


def test_security_runs_from_the_other_slot_and_is_blessed(scene):
    node, security = scene.node, scene.releases["security"]
    check_runs(node.trial_of(security), security, "root-b")
    check(node.root_hash() == security.root_hash, "the kernel's command line names another root hash")
    check(node.status()["state"] == "good", f"state {node.status()['state']}")
    check(f"proa_{security.version}.efi" in node.entries(), f"entries on the ESP: {node.entries()}")
    check(node.wait_running() == "running", node.ok("systemctl --failed --no-legend"))


def test_history_tells_the_update(scene):
    told = [entry["event"] for entry in scene.node.history() if entry.get("root_hash") == scene.releases["security"].root_hash]
    expected = ["staged", "trial", "blessed"]
    check([event for event in told if event in expected][-3:] == expected, f"history of security: {told}")


# --- 5. back and forward ---------------------------------------------------------------------------------------


def test_rollback_returns_to_the_previous_release(scene):
    node, base = scene.node, scene.releases["base"]
    node.ok("echo of-security >/etc/paired")
    status, answer = node.rollback()
    check(status == 0 and answer.get("ok", True) is True, f"status {status}, {answer}")
    node.reboot("proa reboot")
    check_runs(node.settle(), base, "root-a")
    check(node.events("rolled-back"), "history does not tell of the rollback")
    check(node.run("test -e /etc/paired").status != 0, "/etc did not go back with the release")


def test_rollback_goes_forward_again(scene):
    node, security = scene.node, scene.releases["security"]
    status, answer = node.rollback()
    check(status == 0 and answer.get("ok", True) is True, f"status {status}, {answer}")
    check_runs(node.trial_of(security), security, "root-b")
    check(f"proa_{security.version}.efi" in node.entries(), f"entries on the ESP: {node.entries()}")
    check(node.ok("cat /etc/paired").strip() == "of-security", "/etc did not go forward with the release")
