# SPDX-License-Identifier: Apache-2.0
"""
rauc_guest: rauc's own streaming install, in a Debian guest with the old image in its slot; the bytes are counted at nginx. It
takes ten minutes in software emulation, so it is run once where rauc's computed figure is to be confirmed.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import peers
from measuring import say

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness.process import die_with_parent  # noqa: E402
from harness.server import Server  # noqa: E402

PACKAGES = "systemd-sysv,udev,dbus,kmod,iproute2,rauc,rauc-service,linux-image-cloud-amd64,initramfs-tools,e2fsprogs"
TIME_LIMIT = 3000
SYSTEM = """[system]
compatible=bench
bootloader=noop
data-directory=/var/lib/rauc
bundle-formats=verity

[keyring]
path=/etc/rauc/bench.crt

[slot.rootfs.0]
device=/dev/vdb
type=raw
bootname=A

[slot.rootfs.1]
device=/dev/vdc
type=raw
bootname=B
"""
UNIT = """[Unit]
Wants=dbus.socket systemd-udevd.service
After=dbus.socket systemd-udevd.service

[Service]
Type=oneshot
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
ExecStart=/bin/sh /usr/local/bin/bench-install
ExecStopPost=/bin/systemctl --force --force poweroff
"""
SCRIPT = """for module in nbd dm-verity squashfs; do modprobe $module; done
udevadm settle
device=$(ls /sys/class/net | grep -v lo | head -n 1)
ip addr add 10.0.2.15/24 dev $device
ip link set $device up
ip route add default via 10.0.2.2
rauc --version
systemctl start rauc.service || journalctl -b -u rauc.service --no-pager
rauc install {url} && echo "install gave 0" || journalctl -b -u rauc.service --no-pager
sync
echo "slot $(head -c {size} /dev/vdc | sha256sum)"
"""


def _quiet(*command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout.strip()[-1000:]}")


def _tree(folder):
    """A Debian that boots, with rauc in it."""
    if not (folder / "etc/os-release").exists():
        say("rauc: a Debian tree with rauc in it")
        shutil.rmtree(folder, ignore_errors=True)
        _quiet("mmdebstrap", "--variant=minbase", f"--include={PACKAGES}", "trixie", folder,
               f"deb {os.environ['PROA_MIRROR']} trixie main")


def _disk(work, tree, cert, url, size):
    """Its disk: the tree with what this install needs."""
    (tree / "etc/rauc").mkdir(exist_ok=True)
    (tree / "etc/rauc/system.conf").write_text(SYSTEM)
    shutil.copy(cert, tree / "etc/rauc/bench.crt")
    (tree / "etc/systemd/system/bench.service").write_text(UNIT)
    (tree / "usr/local/bin/bench-install").write_text(SCRIPT.format(url=url, size=size))
    (tree / "etc/systemd/system/multi-user.target.wants").mkdir(exist_ok=True)
    wanted = tree / "etc/systemd/system/multi-user.target.wants/bench.service"
    if not wanted.is_symlink():
        wanted.symlink_to("/etc/systemd/system/bench.service")
    disk = work / "debian.ext4"
    disk.unlink(missing_ok=True)
    _quiet("mke2fs", "-q", "-t", "ext4", "-d", tree, disk, "3G")
    return disk


def run(top, base, security):
    """What rauc fetches of the bundle of @security with @base in its slot, beside what peers.rauc() computes of it."""
    cache = pathlib.Path(top) / "build/bench"
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        work, new = pathlib.Path(folder), security.folder / "root.img"
        say("rauc: the bundle")
        computed = peers.rauc(work, base.folder / "root.img", new)
        with open(new, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found = _install(work, cache, base.folder / "root.img", digest, new.stat().st_size)
    return {"bench": "rauc-install", "computed_bytes": computed["bytes"], "bundle_bytes": computed["bundle_bytes"], **found,
            "streamed_vs_computed": round(found["streamed_bytes"] / computed["bytes"], 3)}


def _install(work, cache, old, new_sha256, size):
    """Bytes that rauc fetched of the bundle to bring a slot from the image @old to the one of @new_sha256."""
    bundle, cert = work / "update.raucb", work / "rauc.crt"
    tree, logs = cache / "rauc-tree", cache / "rauc-guest"
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir()
    _tree(tree)
    server = Server(logs)
    server.serve(work)
    server.start()
    try:
        disk = _disk(work, tree, cert, f"{server.url}{bundle.name}", size)
        slots = [work / "slot-a.img", work / "slot-b.img"]
        shutil.copy(old, slots[0])
        for slot in slots:
            with open(slot, "ab") as file:
                file.truncate(size)
        kernel, = (tree / "boot").glob("vmlinuz-*")
        initrd, = (tree / "boot").glob("initrd.img-*")
        say("rauc: the guest is on its way")
        with tempfile.TemporaryFile() as out:
            subprocess.run(
                ["qemu-system-x86_64", "-machine", "q35", "-accel", os.environ.get("PROA_ACCEL", "tcg"), "-cpu",
                 "host" if os.environ.get("PROA_ACCEL") == "kvm" else "qemu64,+ssse3,+sse4.1,+sse4.2,+sha-ni,-svm", "-m", "2048",
                 "-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{logs}/serial.log", "-kernel", str(kernel),
                 "-initrd", str(initrd), "-append", "root=/dev/vda rw console=ttyS0 rauc.slot=A panic=1 mitigations=off "
                 "systemd.mask=serial-getty@ttyS0.service",
                 *(word for path in (disk, *slots)
                   for word in ("-drive", f"if=virtio,format=raw,cache=unsafe,file={path}")),
                 "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci"],
                check=True, timeout=TIME_LIMIT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=die_with_parent)
        said = (logs / "serial.log").read_text(errors="replace")
    finally:
        server.stop()
    if "install gave 0" not in said or f"slot {new_sha256}" not in said:
        raise RuntimeError(f"rauc's install failed; see {logs}/serial.log: {said[-1000:]}")
    sent = re.findall(r'" 20[06] (\d+) ', (logs / "nginx-access.log").read_text())
    return {"streamed_bytes": sum(map(int, sent)), "requests": len(sent)}
