# SPDX-License-Identifier: Apache-2.0
"""The node that comes back: health, operators, counting after the blessing, the black box, generations of /etc.

"""

import json

from harness.node import FALLBACK_TIME_LIMIT, check, check_runs
from harness.scene import Scene

NAMES = ("base", "security", "sound", "next")
HEALTH = "/etc/proa/health.conf.d/50-test.conf"
# A unit that looks well at most moments.
RESTARTS = "[Service]\\nExecStart=/usr/bin/sleep 7\\nRestart=always\\nRestartSec=0\\nStartLimitIntervalSec=0\\n"


def setup(logs):
    return Scene(logs, NAMES).begin()


def proa(scene, line, *expected):
    """Runs `proa LINE --json`; its answer, after its exit status was one of the expected ones."""
    result = scene.node.run(f"proa {line} --json 2>/dev/null", 600)
    check(result.status in (expected or (0,)), f"proa {line}: {result}")
    return json.loads(result.output)


def stage(scene, name):
    release = scene.releases[name]
    scene.feed.publish(release)
    scene.server.serve(scene.feed.folder)
    status, answer = scene.node.update()
    check(status == 0 and answer.get("ok") is True, f"status {status}, {answer}")
    return release


def configure(scene, text):
    scene.node.ok(f"mkdir -p /etc/proa/health.conf.d && printf '{text}' >{HEALTH}")


# --- health ----------------------------------------------------------------------------------------------------


def test_every_check_tells_how_it_is(scene):
    scene.node.wait_for("proa health", 300)
    checks = {one["check"]: one for one in proa(scene, "health")["checks"]}
    for name in ("units", "disk", "containerd", "canary"):
        check(checks[name]["verdict"] == "ok", f"{name}: {checks[name]}")
    for name in ("kubelet", "network", "time", "node-ready"):
        check(checks[name]["verdict"] == "skipped" and checks[name]["detail"], f"{name}: {checks[name]}")


def test_doctor_finds_nothing_in_the_way(scene):
    scene.server.serve(scene.feed.folder)
    problems = [one for one in proa(scene, "doctor", 0, 1)["checks"] if one["verdict"] == "problem" and one["check"] != "feed"]
    check(not problems, f"problems: {problems}")


# --- operators -------------------------------------------------------------------------------------------------


def test_what_is_staged_can_be_rejected_and_taken_back(scene):
    security = stage(scene, "security")
    answer = proa(scene, "reject")
    check(answer["root_hash"] == security.root_hash, f"rejected {answer}")
    check(f"proa_{security.version}+0-1.efi" in scene.node.entries(), f"entries: {scene.node.entries()}")
    status, answer = scene.node.update()
    check(status == 3 and answer["reason"] == "rejected-before", f"status {status}, {answer}")
    proa(scene, f"unreject {security.version}")
    stage(scene, "security")


def test_operators_words_need_neither_bus_nor_agent(scene):
    node = scene.node
    node.ok("systemctl stop proad.service dbus.service dbus.socket; mv /run/dbus/system_bus_socket /run/dbus/away || true")
    try:
        check(proa(scene, "status")["agent"] == "not-running", "proad answers")
        proa(scene, "pin")
        proa(scene, "unpin")
        proa(scene, "reject")
        proa(scene, "unreject")
        proa(scene, "bless")
    finally:
        node.ok("mv /run/dbus/away /run/dbus/system_bus_socket || true; systemctl start dbus.socket dbus.service proad.service")
    stage(scene, "security")


def test_a_pinned_node_takes_nothing_else(scene):
    """What was staged loses its turn, and comes again when the node is let go."""
    proa(scene, "pin")
    status, answer = scene.node.update()
    check(status == 4 and answer["reason"] == "no-update", f"status {status}, {answer}")
    check(proa(scene, "status")["pinned"], "the status does not tell")
    check(f"proa_{scene.releases['security'].version}+3.efi" not in scene.node.entries(), "what was staged still has its turn")
    proa(scene, "unpin")
    stage(scene, "security")


def test_the_new_release_is_blessed_and_the_way_back_is_sound(scene):
    node, security = scene.node, scene.releases["security"]
    check_runs(node.trial_of(security), security, "root-b")
    answer = proa(scene, "rollback --check")
    check(answer["result"] == "would-work", f"{answer}")
    node.ok("systemctl start proa-scrub.service", 900)
    check(node.bootd()["other"]["scrub"]["sound"] is True, f"scrub: {node.bootd()['other']}")


def test_a_damaged_way_back_is_told_before_it_is_needed(scene):
    node = scene.node
    node.ok("dd if=/dev/urandom of=/dev/disk/by-partlabel/root-a bs=4096 seek=5000 count=3 conv=notrunc status=none; sync")
    answer = proa(scene, "rollback --check", 1)
    check(answer["reason"] == "root-corrupt", f"{answer}")
    problems = [one["check"] for one in proa(scene, "doctor", 1)["checks"] if one["verdict"] == "problem"]
    check("way-back" in problems, f"problems: {problems}")


# --- trials ----------------------------------------------------------------------------------------------------


def fell_back(scene, release, reason):
    node, security = scene.node, scene.releases["security"]
    check_runs(node.falls_back_to(security), security, "root-b")
    entry = node.rejected(release.root_hash)
    check(entry and entry["reason"] == reason, f"rejected: {entry}")
    node.ok(f"rm -f {HEALTH}")
    proa(scene, f"unreject {release.version}")


def test_no_container_runs(scene):
    configure(scene, "[health]\\ndeadline=120s\\n[canary]\\nimage=proa/none:1\\n")
    release = stage(scene, "sound")
    scene.node.leave_one_try(release)
    scene.node.start_command("proa reboot")
    fell_back(scene, release, "canary-failed")


def test_the_last_failure_is_one_page(scene):
    page = proa(scene, "log --last-failure")["page"]
    for words in ("canary-failed", "What the checks said", "Boot entries", "Last messages of that boot"):
        check(words in page, f"the page has no \"{words}\":\n{page[:2000]}")


def test_a_unit_that_restarts_never_settles(scene):
    scene.node.ok(f"printf '{RESTARTS}' >/etc/systemd/system/restless.service && ln -sf ../restless.service "
                  "/etc/systemd/system/multi-user.target.wants/restless.service")
    configure(scene, "[health]\\ndeadline=120s\\n[units]\\nactive=restless.service\\n")
    release = stage(scene, "sound")
    scene.node.leave_one_try(release)
    scene.node.start_command("proa reboot")
    fell_back(scene, release, "unit-restarted")
    scene.node.ok("rm /etc/systemd/system/restless.service /etc/systemd/system/multi-user.target.wants/restless.service")


def test_a_fault_elsewhere_keeps_the_release(scene):
    configure(scene, "[health]\\ndeadline=90s\\nelsewhere-limit=150s\\n[node-ready]\\nserver=http://127.0.0.1:1\\n")
    release = stage(scene, "sound")
    check_runs(scene.node.trial_of(release), release, "root-a")
    checks = {one["check"]: one for one in proa(scene, "health", 1)["checks"]}
    check(checks["node-ready"]["fault"] == "elsewhere", f"{checks['node-ready']}")
    scene.node.ok(f"rm {HEALTH}")


# --- after the blessing ----------------------------------------------------------------------------------------


def test_a_reboot_that_was_asked_for_does_not_count(scene):
    sound = scene.releases["sound"]
    for _ in range(3):
        scene.node.reboot("proa reboot")
        check_runs(scene.node.settle(), sound, "root-a")
    check(not scene.node.events("crashed", root_hash=sound.root_hash), "asked-for reboots were counted")


def test_crashes_after_the_blessing_fall_back(scene):
    node, sound, security = scene.node, scene.releases["sound"], scene.releases["security"]
    for _ in range(2):
        node.reboot("echo c >/proc/sysrq-trigger")
        check_runs(node.settle(), sound, "root-a")
    node.start_command("echo c >/proc/sysrq-trigger")
    check_runs(node.comes_back_with(security, FALLBACK_TIME_LIMIT), security, "root-b")
    entry = node.rejected(sound.root_hash)
    check(entry and entry["reason"] == "crashed", f"rejected: {entry}")


# --- /etc ------------------------------------------------------------------------------------------------------


def test_etc_is_committed_compared_and_restored(scene):
    node = scene.node
    node.ok("proa config commit && echo changed >/etc/probe && echo '# changed' >>/etc/hosts")
    changes = proa(scene, "config diff")["changes"]
    check("A probe" in changes and "M hosts" in changes, f"changes: {changes}")
    newest = proa(scene, "config log")["commits"][0]["commit"]
    node.ok(f"proa config restore {newest}")
    check(not proa(scene, f"config diff {newest}")["changes"], "something is left of it")
    check(node.run("test -e /etc/probe").status != 0, "/etc/probe is still there")


def test_an_operators_change_goes_along(scene):
    node, following = scene.node, stage(scene, "next")
    node.ok("echo mine >/etc/mine && chmod 600 /etc/mine && touch /etc/hosts")
    check_runs(node.trial_of(following), following, "root-a")
    check(node.ok("stat -c %a /etc/mine; cat /etc/mine").split() == ["600", "mine"], "the operator's file did not come along")
    check(node.run("test -e /var/lib/proa/etc/$(cat /var/lib/proa/etc/last)/upper/hosts").status != 0,
          "a file that nobody changed hides the release's")
