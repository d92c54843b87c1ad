# SPDX-License-Identifier: Apache-2.0
"""Boots that get far enough to be told what is wrong with them, and nodes that lose what they stand on.

Each claim starts a fresh node whose disk was prepared from outside, as in test_unbootable.py. What is wrong is put into the
armed release alone: units and drop-ins from credentials, with a condition on its root hash.
"""

import json
import re
import subprocess

from harness.extension import Extension, put
from harness.node import check, check_runs
from harness.prepared import Prepared, TOP
from harness.server import Server

ONE_TRY = "+1-2"
# In place before proa-bootd begins: what takes five minutes on a node is seen here in one.
SOONER = {"proa-bootd.service": "[Service]\nExecStartPre=+/bin/sh -c 'mkdir -p /etc/proa/health.conf.d; "
                                "printf \"[health]\\\\ndeadline=60s\\\\nfailing=5s\\\\n\" >/etc/proa/health.conf.d/50-test.conf'\n"}
# Each claim starts a node of its own, whatever the others do.
SIDE_BY_SIDE = True


def setup(logs):
    return Prepared(logs, ("base", "security"))


def only_in(release, start, more="Type=oneshot\n"):
    """A unit that runs in that release alone, once /var has its size."""
    return (f"[Unit]\nConditionKernelCommandLine=roothash={release.root_hash}\nDefaultDependencies=no\n"
            "After=proa-bootd.service systemd-growfs@var.service\nConflicts=shutdown.target\nBefore=shutdown.target\n"
            f"[Service]\n{more}ExecStart={start}\n")


def left(scene, *reasons):
    """base runs; security is rejected for one of the reasons and is not what boots next."""
    node, bad = scene.node, scene.releases["security"]
    status = node.falls_back_to(scene.releases["base"])
    scene.took("the good release runs")
    check_runs(status, scene.releases["base"], "root-a")
    entry = node.rejected(bad.root_hash)
    check(entry, f"{bad.version} is not remembered as rejected: {status['rejected']}")
    check(entry["reason"] in reasons, f"rejected as {entry['reason']} ({entry.get('detail')}), not {' or '.join(reasons)}")
    check(node.bootd()["next"] == node.bootd()["booted"]["entry"], f"{node.bootd()['next']} is next")


def in_trial(scene, name, unit):
    """Starts a trial of security, its last try, in which a unit of that text runs."""
    return scene.start(name, "security", tries=ONE_TRY, units={"trouble.service": unit}, dropins=SOONER)


# --- a boot that is not healthy --------------------------------------------------------------------------------


def test_initrd_in_emergency_mode(scene):
    entry = f"proa_{scene.releases['security'].version}{ONE_TRY}.efi"
    scene.start("emergency", "security", tries=ONE_TRY, change=lambda disk: disk.change_words(
        entry, "systemd.show_status=yes systemd.log_color=no", "rd.systemd.unit=emergency.target"))
    left(scene, "boot-failed")


def test_a_unit_fails(scene):
    in_trial(scene, "unit", only_in(scene.releases["security"], "/bin/false"))
    left(scene, "unit-failed")


def test_target_is_never_reached(scene):
    in_trial(scene, "target", only_in(scene.releases["security"], "/usr/bin/sleep infinity", "Type=oneshot\nTimeoutStartSec=infinity\n"))
    left(scene, "not-running")


def test_bootd_cannot_be_started(scene):
    broken = f"[Service]\nExecStartPre=/bin/sh -c '! grep -q {scene.releases['security'].root_hash} /proc/cmdline'\n"
    scene.start("bootd", "security", tries=ONE_TRY, dropins={"proa-bootd.service": broken})
    left(scene, "boot-failed")


def test_blessed_release_whose_boots_never_come_to_health(scene):
    """Nothing but the count of proa-etc is left to end it: the entry has no counter, and proa-bootd never comes to speak."""
    unit = only_in(scene.releases["security"], "/usr/bin/systemctl reboot --force --force")
    scene.start("blessed", "security", tries="", units={"trouble.service": unit})
    left(scene, "boot-failed")
    check(scene.node.events("gave-up", root_hash=scene.releases["security"].root_hash), "the history does not tell who left it")


def before_var(program):
    """{path: content} for an initrd in which a program runs after the root is mounted and before /var is."""
    unit = (f"[Unit]\nDefaultDependencies=no\nAfter=sysroot.mount\nBefore=sysroot-var.mount\n"
            f"[Service]\nType=oneshot\nExecStart={program}\n")
    return {"etc/systemd/system/trouble.service": unit,
            "etc/systemd/system/sysroot-var.mount.d/trouble.conf": "[Unit]\nRequires=trouble.service\nAfter=trouble.service\n"}


def test_a_hang_in_the_initrd(scene):
    """Every processor is taken from systemd as well: the machine's watchdog, which the initrd armed, is what is left."""
    security, hang = scene.releases["security"], scene.logs / "hang"
    subprocess.run(["gcc", "-O1", "-static", "-o", hang, TOP / "tests/e2e/harness/hang.c"], check=True)
    scene.start("initrd-hang", "security", tries=ONE_TRY, extra="systemd.watchdog_sec=30",
                change=lambda disk: disk.add_to_initrd(security.version, {"usr/bin/hang": hang, **before_var("/usr/bin/hang")}))
    left(scene, "boot-failed")
    log = scene.node.serial.read_text(errors="replace")
    tried = re.findall(f"Kernel command line:.*{security.root_hash}", log)
    check(len(tried) == 1, f"{len(tried)} boots of its one try")
    last = log.partition("Starting trouble.service")[2].partition("BdsDxe")[0]
    check("Fair server disabled" in last and "systemd[1]" not in last and "emergency" not in last, f"it did not hang: {last}")


def test_blessed_release_that_never_comes_to_var(scene):
    """Its boots end in the initrd, where /var is not mounted: the firmware's memory alone can count them."""
    security = scene.releases["security"]
    scene.start("early", "security", tries="", change=lambda disk: disk.add_to_initrd(
        security.version, before_var("/usr/bin/systemctl reboot --force --force")))
    left(scene, "boot-failed")
    node = scene.node
    told = node.events("gave-up", root_hash=security.root_hash)
    check(told and "as the firmware remembers" in told[-1]["detail"], f"who left it: {told}")
    tried = re.findall(f"Kernel command line:.*{security.root_hash}", node.serial.read_text(errors="replace"))
    check(len(tried) == 4, f"{len(tried)} boots were begun, and the fourth was to be left")
    node.settle()
    kept = [name for name in node.ok("ls /sys/firmware/efi/efivars").split() if name.startswith(("ProaStarts", "LoaderInfo"))]
    check(len(kept) == 1 and kept[0].startswith("LoaderInfo"), f"a healthy node leaves a count in the firmware: {kept}")


def test_firmware_that_cannot_rename(scene):
    """It starts the trial with all its tries again and again, since the name that it counts down to is taken."""
    unit = only_in(scene.releases["security"], "/usr/bin/systemctl reboot --force --force")
    taken = f"proa_{scene.releases['security'].version}+2-1.efi"
    scene.start("firmware", "security", tries="+3", units={"trouble.service": unit},
                change=lambda disk: disk.esp("mmd", f"::EFI/Linux/{taken}"))
    left(scene, "boot-failed")
    told = scene.node.events("gave-up", root_hash=scene.releases["security"].root_hash)
    check(told and "never came to health" in told[-1]["detail"], f"who left it: {told}")
    tried = re.findall(f"Kernel command line:.*{scene.releases['security'].root_hash}", scene.node.serial.read_text(errors="replace"))
    check(len(tried) == 4, f"{len(tried)} boots were begun, and the fourth was to be left")


def test_a_unit_that_waits_for_elsewhere(scene):
    """It fails, and the trial is prolonged, and kept; a unit that nobody named costs a release its trial (a_unit_fails)."""
    config = ("[Service]\nExecStartPre=+/bin/sh -c 'mkdir -p /etc/proa/health.conf.d; printf \"[health]\\\\ndeadline=30s\\\\n"
              "elsewhere-limit=150s\\\\n[units]\\\\nelsewhere=trouble.service\\\\n\" >/etc/proa/health.conf.d/50-test.conf'\n")
    security = scene.releases["security"]
    node = scene.start("elsewhere", "security", tries=ONE_TRY, dropins={"proa-bootd.service": config},
                       units={"trouble.service": only_in(security, "/bin/false")})
    node.wait_boot()
    check_runs(node.settle(), security, "root-b")
    check(float(node.ok("cut -d ' ' -f 1 /proc/uptime")) > 150, "the trial was not prolonged")
    check(node.ok("systemctl is-failed trouble.service").strip() == "failed", "the unit has not failed")
    units = {one["check"]: one for one in node.json("proa health --json")["checks"]}["units"]
    check(units["fault"] == "elsewhere" and "trouble.service" in units["detail"], f"{units}")
    check(f"proa_{security.version}.efi" in node.entries(), f"entries on the ESP: {node.entries()}")


# --- Kubernetes, and an operator's own checks ------------------------------------------------------------------


def configured(release, *lines, more=":"):
    """What health.conf says in that release alone, and a command before proa-bootd begins."""
    quoted = " ".join(f'"{line}"' for line in ("[health]", "deadline=60s", "failing=5s", *lines))
    return {"proa-bootd.service": f"[Service]\nExecStartPre=+/bin/sh -c 'grep -q {release.root_hash} /proc/cmdline || exit 0; {more}; "
                                  f"mkdir -p /etc/proa/health.conf.d; printf \"%%s\\\\n\" {quoted} >/etc/proa/health.conf.d/50-test.conf'\n"}


def test_a_kubelet_that_is_not_well(scene):
    """A mock: Debian has no kubelet. It answers as one does whose pods are not looked after."""
    security, said = scene.releases["security"], "[-]syncloop failed: reason withheld"
    answer = f"HTTP/1.1 500 Internal Server Error\\\\r\\\\nContent-Length: {len(said)}\\\\r\\\\nConnection: close\\\\r\\\\n\\\\r\\\\n{said}"
    units = {"kubelet-mock.socket": "[Socket]\nListenStream=127.0.0.1:10248\nAccept=yes\n",
             "kubelet-mock@.service": "[Service]\nStandardInput=socket\nStandardOutput=socket\nStandardError=journal\n"
                                      "ExecStart=/bin/sh -c 'while read -r l; do case $$l in ?) break ;; esac; done; "
                                      f"printf \"{answer}\"'\n"}
    scene.start("kubelet", "security", tries=ONE_TRY, units=units, dropins=configured(
        security, "[kubelet]", "config=/run/kubelet.yaml", more=": >/run/kubelet.yaml"))
    left(scene, "kubelet-down")
    detail = scene.node.rejected(security.root_hash)["detail"]
    check("answered 500" in detail and said in detail, f"the kubelet's own word is not told: {detail}")


def test_a_node_that_is_not_ready(scene):
    """A mock: Debian has no API server. A real web server gives the Node object that one would."""
    security, why = scene.releases["security"], "container runtime network not ready: cni plugin not initialized"
    folder = scene.logs / "cluster"
    (folder / "api/v1/nodes").mkdir(parents=True, exist_ok=True)
    (folder / "api/v1/nodes/worker-1").write_text(json.dumps({
        "kind": "Node", "apiVersion": "v1", "metadata": {"name": "worker-1"},
        "status": {"conditions": [{"type": "MemoryPressure", "status": "False"},
                                  {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": why}]}}))
    server = Server(scene.logs / "server")
    try:
        server.serve(folder)
        server.start()
        scene.start("not-ready", "security", tries=ONE_TRY, dropins=configured(
            security, "[node-ready]", f"server={server.url.rstrip('/')}", "node=worker-1"))
        left(scene, "node-not-ready")
        detail = scene.node.rejected(security.root_hash)["detail"]
        check(why in detail, f"the API server's own word is not told: {detail}")
    finally:
        server.throw_away()


def test_a_required_check_that_never_ends(scene):
    program = "/etc/proa/health.d/required/10-test"
    more = (f"mkdir -p /etc/proa/health.d/required; printf \"%%s\\\\n\" \"#!/bin/sh\" \"exec sleep 1000\" >{program}; "
            f"chmod 755 {program}")
    scene.start("programs", "security", tries=ONE_TRY, dropins=configured(
        scene.releases["security"], "[programs]", "timeout=5s", more=more))
    left(scene, "health-check")


# --- /var ------------------------------------------------------------------------------------------------------


def test_var_that_does_not_answer(scene):
    """Whatever writes to it hangs in the kernel, proa-bootd with it: the trial ends all the same, and the ESP knows why."""
    freeze = "/bin/sh -c 'until test -e /run/proa/health.json; do sleep 0.5; done; exec fsfreeze --freeze /var'"
    in_trial(scene, "hangs", only_in(scene.releases["security"], freeze, "Type=exec\n"))
    left(scene, "io-error")


def test_var_read_only(scene):
    """The kernel meets damage and mounts it read-only: the word of the boot is kept by the ESP."""
    in_trial(scene, "read-only", only_in(scene.releases["security"],
                                         "/bin/sh -c 'for f in /sys/fs/ext4/vda*/trigger_fs_error; do echo test >$f; done'"))
    left(scene, "read-only")


def test_var_full(scene):
    """It stays full: base runs on, answers, and comes to health when there is room again."""
    fill = "/bin/sh -c 'fallocate -l $(($(stat -f -c %%f /var) / 100 * 99 * 4096)) /var/fill; dd if=/dev/zero of=/var/fill2 bs=4k; true'"
    node = in_trial(scene, "full", only_in(scene.releases["security"], fill))
    base, security = scene.releases["base"], scene.releases["security"]
    check_runs(node.falls_back_to(base), base, "root-a")
    scene.took("the good release runs")
    check(node.run("df --output=avail -k /var | tail -n 1 | grep -qx ' *0'").status == 0, node.ok("df /var"))
    check(node.bootd()["next"] == node.bootd()["booted"]["entry"], f"{node.bootd()['next']} is next")
    node.ok("rm -f /var/fill /var/fill2")
    node.wait_for(f"grep -q {security.root_hash} /var/lib/proa/rejected.json", 120)
    entry = node.rejected(security.root_hash)
    # What fails for want of room is named before the room.
    check(entry and entry["reason"] in ("disk-space", "unit-failed"), f"rejected: {entry}")
    if node.run("test -e /run/proa/volatile-etc").status == 0:
        # There was not even room for a generation of /etc: the next boot makes one.
        node.reboot()
    else:
        node.ok("systemctl restart $(systemctl --failed --no-legend --plain | cut -d ' ' -f 1); true")
    node.wait_journal("proa-bootd.*: release .* is healthy: blessed", 300)


def test_lost_var(scene):
    """The state partition is gone: the trial is left, base can be reached and asked, and is mended by its operator."""
    scene.start("lost", "security", tries=ONE_TRY, dropins=SOONER, change=lambda disk: disk.overwrite("state", 0, bytes(8 << 20)))
    left(scene, "read-only")
    node = scene.node
    check(node.ok("findmnt -n -o FSTYPE /var").strip() == "tmpfs", "/var is not in memory")
    doctor = {one["check"]: one for one in node.json("proa doctor --json")["checks"]}
    check(doctor["var"]["verdict"] == "problem" and "state partition" in doctor["var"]["message"], f"{doctor['var']}")
    node.ok("mkfs.ext4 -q -F -L state /dev/disk/by-partlabel/state")
    node.reboot("proa reboot")
    check_runs(node.settle(), scene.releases["base"], "root-a")
    check(node.ok("findmnt -n -o FSTYPE /var").strip() == "ext4", "/var is not on its partition")
    entry = node.rejected(scene.releases["security"].root_hash)
    check(entry and entry["reason"] == "read-only", f"rejected: {entry}")


# --- what a node can do without ----------------------------------------------------------------------------------


def test_full_esp_does_not_keep_a_node_from_leaving(scene):
    def change(disk):
        disk.overwrite("root-b", 1024, b"\xa5" * 512)
        disk.fill_esp()
    scene.start("esp", "security", change=change)
    left(scene, "boot-failed", "root-corrupt")


def test_no_network_and_no_agent(scene):
    """A trial is blessed with neither; what nothing verifies is not merged into it, and costs it nothing."""
    node, security = scene.start("alone", "security", network=False, dropins={
        "proad.service": "[Unit]\nConditionPathExists=/nonexistent\n"}), scene.releases["security"]
    node.wait_boot()
    node.wait_journal("proa-bootd.*: release .* is healthy: blessed")
    check(node.run("systemctl is-active proad").output.strip() == "inactive", "proad runs")
    check_runs(node.status(), security, "root-b")


def test_a_clock_without_a_battery(scene):
    """It begins when the release was made, which is late enough for a trial and for what the release was signed with."""
    node, security = scene.start("clock", "security", devices=("-rtc", "base=2001-02-03T04:05:06")), scene.releases["security"]
    node.wait_boot()
    node.wait_journal("proa-bootd.*: release .* is healthy: blessed")
    check_runs(node.status(), security, "root-b")
    built, now = (int(node.ok(command)) for command in ("stat -c %Y /usr/lib/os-release", "date +%s"))
    check(built <= now < built + 3600, f"the clock says {now}, the release is of {built}")
    clock = [line for line in node.json("proa doctor --json")["checks"] if line["check"] == "clock"]
    check([line["verdict"] for line in clock] == ["ok"], f"{clock}")


def test_an_operators_words_in_a_rescue_shell(scene):
    """The system is taken down to it: no bus, no agent, no network."""
    survives = {f"{unit}.service": "[Unit]\nIgnoreOnIsolate=yes\n" for unit in ("proa-test", "proa-test-journal")}
    node, base, security = scene.start("rescue", "security", tries="", dropins=survives), scene.releases["base"], scene.releases["security"]
    node.wait_boot()
    node.settle()
    node.ok("systemctl isolate --no-block rescue.target")
    node.wait_for("systemctl is-active rescue.service && ! systemctl list-jobs --no-legend | grep -q .", 120)
    for unit in ("dbus.service", "dbus.socket", "proad.service", "systemd-networkd.service"):
        check(node.run(f"systemctl is-active {unit}").status != 0, f"{unit} runs")
    status = node.json("proa status --json")
    check(status["agent"] == "not-running", f"{status['agent']}")
    check_runs(status, security, "root-b")
    node.ok("proa bless")
    elsewhere = "ab" * 32
    node.ok(f"proa reject {elsewhere}")
    node.ok("proa rollback")
    check(node.bootd()["next"] == f"proa_{base.version}+3.efi", f"{node.bootd()['next']} is next: it was never blessed on this disk")
    node.reboot("reboot -f")
    check_runs(node.settle(), base, "root-a")
    check(node.rejected(security.root_hash)["reason"] == "rolled-back", f"{node.rejected(security.root_hash)}")
    check(node.rejected(elsewhere)["reason"] == "rejected", f"{node.rejected(elsewhere)}")


def test_only_signed_extensions_are_merged(scene):
    node, merged = scene.start("unsigned", "security", tries=""), "test -e /usr/lib/extension-release.d/extension-release.tree"
    node.wait_boot()
    node.settle()
    node.ok("mkdir -p /run/tree/usr/lib/extension-release.d /var/lib/extensions /etc/extensions && "
            "echo ID=_any >/run/tree/usr/lib/extension-release.d/extension-release.tree && truncate -s 8M /run/tree.raw && "
            "mke2fs -q -t ext4 -F -d /run/tree /run/tree.raw")
    for place in ("/var/lib/extensions", "/etc/extensions"):
        for what, name in (("a directory", "tree"), ("an image that nobody signed", "tree.raw")):
            node.ok(f"cp -r /run/{name} {place}/")
            node.ok("systemd-sysext refresh")
            check(node.run(merged).status == 0, f"{what} is no extension: the claim would be empty")
            node.ok("systemctl reload-or-restart systemd-sysext.service; true")
            node.ok("systemd-sysext unmerge; systemctl restart systemd-sysext.service; true")
            check(node.run(merged).status != 0, f"{what} in {place} is merged")
            node.ok(f"rm -rf {place}/{name}")
    check(node.ok("systemctl --failed --no-legend").strip() == "", node.ok("systemctl --failed"))


def test_a_signed_extension_is_merged(scene):
    """As the operator's guide says; then one that another key signed, and one that was changed."""
    node, tool, link = scene.start("signed", "security", tries=""), "/usr/bin/of-the-extension", "/etc/extensions/tool.raw"
    node.wait_boot()
    node.settle()
    ours, theirs = (Extension("tool", {tool.lstrip("/"): f"made by {who}\n"}) for who in ("us", "them"))
    changed = bytearray(ours.image)
    at = changed.index(b"made by us")
    changed[at:at + 4] = b"MADE"
    put(node, "/etc/verity.d/ours.crt", ours.certificate)
    for name, image, merged in (("ours", ours.image, True), ("theirs", theirs.image, False), ("changed", bytes(changed), False)):
        put(node, f"/var/lib/proa/extensions/{name}.raw", image)
        node.ok(f"mkdir -p /etc/extensions && ln -sfn /var/lib/proa/extensions/{name}.raw {link}")
        node.ok("systemctl reload-or-restart systemd-sysext.service")
        said = node.run(f"cat {tool}")
        if merged:
            check(said.status == 0 and said.output == "made by us\n", f"{name}: {said.output}")
            check(node.run(f"touch {tool}").status != 0, "what an extension brings could be written")
            doctor = [one for one in node.json("proa doctor --json")["checks"] if one["check"].startswith("extension")]
            check([one["verdict"] for one in doctor] == ["ok"], f"{doctor}")
        else:
            check(said.status != 0, f"{name} could be read: {said.output}")
        node.ok(f"rm {link} && systemctl reload-or-restart systemd-sysext.service")
        check(node.run(f"test -e {tool}").status != 0, f"{name} is still there")
    check(node.ok("systemctl --failed --no-legend").strip() == "", node.ok("systemctl --failed"))
