# SPDX-License-Identifier: Apache-2.0
"""A release that is watched for crashes: what waits for the end of the watch, what an operator may do all the same, and what goes back
and forth with a release. One node's life: base, security, base, security, sound, security.
"""

import time

from harness.extension import Extension, put
from harness.node import UPDATE_TIME_LIMIT, check, check_runs
from harness.scene import Scene

NAMES = ("base", "security", "sound", "next")
HEALTH = "/etc/proa/health.conf.d/50-test.conf"
BY_ITSELF = "/etc/proa/update.conf.d/90-by-itself.conf"
TOOL = "/usr/bin/of-the-extension"
IMAGE = "/var/lib/extensions/tool.raw"
LEFT = "/var/lib/proa/extensions-left"
# Long enough for a slow machine's boot to be over before it.
SHORT_WATCH = 300
MIB = 1 << 20
# What an update keeps in /var for after a break, the most that there was, and the least room: while it runs.
SAMPLE = ("rm -f /run/proa-test/parts; cat >/run/proa-test/parts.sh <<'EOF'\n"
          "most=0 least=$((1 << 40))\n"
          "while :; do\n"
          "  size=0; for f in /var/lib/proa/*.part; do s=$(stat -c %s $f 2>/dev/null) && size=$((size + s)); done\n"
          "  room=$(($(stat -f -c '%a * %S' /var)))\n"
          "  [ $size -le $most ] || most=$size; [ $room -ge $least ] || least=$room\n"
          "  echo $most $least >/run/proa-test/parts.new && mv /run/proa-test/parts.new /run/proa-test/parts\n"
          "  sleep 0.3\n"
          "done\n"
          "EOF\n"
          "(bash /run/proa-test/parts.sh >/dev/null 2>&1 & echo $! >/run/proa-test/parts.pid)")
# The system's own clock and zone: what --at is told.
SOON = "date -d '+45 seconds' '+%Y-%m-%d %H:%M:%S'"


def setup(logs):
    return Scene(logs, NAMES).begin()


def publish(scene, name):
    scene.feed.publish(scene.releases[name])
    scene.server.serve(scene.feed.folder)


def updated(scene, *arguments):
    """`proa update` goes well; (most bytes of parts, least room) of /var meanwhile."""
    scene.node.ok(SAMPLE)
    status, answer = scene.node.update(*arguments)
    scene.node.ok("kill $(cat /run/proa-test/parts.pid)")
    check(status == 0 and answer.get("ok") is True, f"status {status}, {answer}")
    return tuple(int(word) for word in scene.node.ok("cat /run/proa-test/parts").split())


def by_itself(scene, yes):
    """Lets proad update by itself from now on, or stops it from doing so."""
    if yes:
        scene.node.ok(f"printf '[update]\\nautomatic=yes\\nstartup_delay=1s\\ncheck_interval=1min\\njitter=0\\n' >{BY_ITSELF}; systemctl restart proad")
    else:
        scene.node.ok(f"rm -f {BY_ITSELF}; systemctl restart proad")


def held_back(scene):
    """Waits until proad has met a release that it may not take yet; returns until when."""
    end = time.monotonic() + 180
    while time.monotonic() < end:
        until = scene.node.status().get("waits_until")
        if until:
            return until
        time.sleep(2)
    raise scene.node.error("proad is not held back")


def merged(scene):
    return scene.node.run(f"cat {TOOL}").output.strip()


def bring(scene, who):
    """Puts that extension in the place of the one that is there, as an operator does."""
    put(scene.node, "/var/lib/tool.raw", scene.tools[who].image)
    scene.node.ok(f"mkdir -p /var/lib/extensions && mv /var/lib/tool.raw {IMAGE} && systemctl reload-or-restart systemd-sysext.service")
    check(merged(scene) == who, f"{merged(scene)!r} is merged, not {who}")


# --- base ------------------------------------------------------------------------------------------------------


def test_the_boot_is_noted_as_it_goes_on(scene):
    """For a node whose clock begins each boot at the same time."""
    node = scene.node
    check(node.ok("systemctl is-active proa-uptime.timer").strip() == "active", "the timer does not run")
    node.ok("systemctl start proa-uptime.service")
    node.wait_for("grep -q $(cat /proc/sys/kernel/random/boot_id) /var/lib/proa/uptime.json", 60)
    noted = node.json("cat /var/lib/proa/uptime.json")
    check(0 < noted["uptime"] <= float(node.ok("cut -d ' ' -f 1 /proc/uptime")), f"{noted}")
    check(node.ok("systemctl --failed --no-legend").strip() == "", node.ok("systemctl --failed"))


def test_base_has_an_extension_of_its_own(scene):
    scene.tools = {who: Extension("tool", {TOOL.lstrip("/"): f"{who}\n"}) for who in ("of-base", "of-security")}
    for who, tool in scene.tools.items():
        put(scene.node, f"/etc/verity.d/{who}.crt", tool.certificate)
    bring(scene, "of-base")


def test_an_update_keeps_for_after_a_break_what_it_fetched(scene):
    publish(scene, "security")
    scene.node.ok(f"mkdir -p /etc/proa/health.conf.d && printf '[crashes]\\nhold=1d\\n' >{HEALTH}")
    most, _ = updated(scene)
    check(most > MIB, f"at most {most} bytes were kept")
    check(scene.node.run("ls /var/lib/proa/*.part").status != 0, "a part is left of an update that is done")


# --- security, watched for a day -------------------------------------------------------------------------------


def test_security_takes_the_extension_along_and_gets_a_newer_one(scene):
    security = scene.releases["security"]
    check_runs(scene.node.trial_of(security), security, "root-b")
    check(merged(scene) == "of-base", f"{merged(scene)!r} is merged")
    over = scene.node.run(f"cp /etc/os-release {IMAGE}")
    check(over.status != 0 and "not permitted" in over.output, f"base's image could be written over: {over.output}")
    bring(scene, "of-security")


def test_proad_overwrites_no_sound_release_for_one_that_is_watched(scene):
    node, base, security = scene.node, scene.releases["base"], scene.releases["security"]
    publish(scene, "sound")
    before = node.entries()
    check(before == [f"proa_{base.version}.efi", f"proa_{security.version}.efi"], f"entries: {before}")
    by_itself(scene, True)
    until = held_back(scene)
    now = int(node.ok("date +%s"))
    check(now + 20 * 3600 < until <= now + 24 * 3600, f"it waits until {until}, and it is {now}")
    check("held back" in node.ok("proa status"), "`proa status` does not tell")
    check("crash-watch" in node.ok("journalctl -b -u proad.service -o cat"), "the journal does not tell")
    check(node.entries() == before, f"entries: {node.entries()}")
    check(node.bootd()["other"]["root_hash"] == base.root_hash, f"other slot: {node.bootd()['other']}")
    check(node.status()["state"] == "good", f"state {node.status()['state']}")
    by_itself(scene, False)


def test_a_rollback_can_be_planned(scene):
    """It comes when it was to come, once; with base goes its own extension, and security's is kept aside."""
    node, base = scene.node, scene.releases["base"]
    at = node.ok(SOON).strip()
    status, answer = node.rollback(f"--at '{at}'")
    check(status == 0 and answer["result"] == "planned" and answer["version"] == base.version, f"status {status}, {answer}")
    due = int(node.ok(f"date -d '{at}' +%s"))
    status, answer = node.rollback("--at '2020-01-01 00:00'")
    check(status == 2 and "past" in answer["message"], f"status {status}, {answer}")
    node.wait_boot()
    check_runs(node.settle(), base, "root-a")
    told = node.events("rolled-back")
    check(len(told) == 1 and due <= told[0]["time"] <= due + 60, f"planned for {due}: {told}")
    check(node.rejected(scene.releases["security"].root_hash)["reason"] == "rolled-back", "security is not known to be left")


def test_a_rollback_brings_back_the_extension_of_its_release(scene):
    node = scene.node
    check(merged(scene) == "of-base", f"{merged(scene)!r} is merged")
    check(node.ok(f"ls {LEFT}").split() == ["tool.raw"], f"kept aside: {node.ok(f'ls {LEFT}')}")
    said = {one["check"]: one for one in node.json("proa doctor --json")["checks"]}
    check(said["extensions-left"]["verdict"] == "warning" and said["extensions-left"]["hint"], f"{said.get('extensions-left')}")


def test_the_way_forward_brings_its_own_extension_too(scene):
    node, security = scene.node, scene.releases["security"]
    status, answer = node.rollback()
    check(status == 0, f"status {status}, {answer}")
    check_runs(node.trial_of(security), security, "root-b")
    check(merged(scene) == "of-security", f"{merged(scene)!r} is merged")
    ours = node.ok(f"stat -c %i {IMAGE}").strip()
    check(ours not in node.ok(f"stat -c %i {LEFT}/*").split(), "what is at its place again is kept aside as well")


def test_an_operator_updates_all_the_same_and_with_hardly_any_room(scene):
    """Base is overwritten, and the history says who did; parts that would take /var's last room are not kept."""
    node, sound = scene.node, scene.releases["sound"]
    node.ok(f"fallocate -l $(($(stat -f -c '%a * %S' /var) - {40 * MIB})) /var/fill")
    most, least = updated(scene)
    node.ok("rm /var/fill")
    # A block's worth of a head may be there for a moment, before there is found to be no room.
    check(most < MIB, f"{most} bytes were kept in a /var with {40 * MIB} free")
    check(least > 24 * MIB, f"the update left {least} bytes of /var")
    told = node.events("overwrote-last-good")
    check(len(told) == 1 and told[0]["version"] == sound.version, f"history: {told}")
    check(scene.releases["base"].version in told[0]["detail"], f"history: {told}")
    check("is overwritten since somebody asked for it" in node.ok("journalctl -b -o cat; cat /run/proa-test/update.err"),
          "nobody warned")
    check(node.status()["staged"]["root_hash"] == sound.root_hash, f"staged: {node.status()['staged']}")


# --- sound, watched for a few minutes --------------------------------------------------------------------------


def test_proad_takes_the_update_when_the_watch_is_over(scene):
    node, sound, following = scene.node, scene.releases["sound"], scene.releases["next"]
    node.ok(f"printf '[crashes]\\nhold={SHORT_WATCH}s\\n' >{HEALTH}")
    check_runs(node.trial_of(sound), sound, "root-a")
    publish(scene, "next")
    by_itself(scene, True)
    until = held_back(scene)
    check(node.status()["state"] == "good", f"state {node.status()['state']}")
    node.wait_for(f"grep -q {following.root_hash} /var/lib/proa/state.json", SHORT_WATCH + UPDATE_TIME_LIMIT)
    node.wait_for("proa status --json | grep -Eq '\"state\" *: *\"staged\"'", UPDATE_TIME_LIMIT)
    staged = node.events("staged", root_hash=following.root_hash)
    check(staged and staged[-1]["time"] >= until, f"held back until {until}, staged {staged}")
    check(len(node.events("overwrote-last-good")) == 1, "proad did what only an operator may")
    by_itself(scene, False)


def test_an_older_release_can_be_asked_for(scene):
    """It ends as a rollback does: what runs is set aside behind it, and is the way forward."""
    node, sound, security = scene.node, scene.releases["sound"], scene.releases["security"]
    updated(scene, "--to", security.version)
    check(node.bootd()["next"] == f"proa_{security.version}+3.efi", f"{node.bootd()['next']} is next")
    check(node.bootd()["booted"]["tries_left"] == 0, f"{node.bootd()['booted']}")
    check(node.rejected(sound.root_hash)["reason"] == "rolled-back", f"{node.rejected(sound.root_hash)}")
    check_runs(node.trial_of(security), security, "root-b")
    check(f"proa_{security.version}.efi" in node.entries(), f"entries on the ESP: {node.entries()}")
    status, answer = node.update()
    check(status == 0 and answer["version"] == scene.releases["next"].version, f"status {status}, {answer}")
