# SPDX-License-Identifier: Apache-2.0
"""disk: a node's disk while the node is off: slots, partition table and boot entries, changed from outside."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "images/build"))
from proa_image.initrd import write_cpio  # noqa: E402

SECTOR = 512


class Disk:
    """A raw disk image of one's own, made from a release's."""

    def __init__(self, path, release):
        self.path = pathlib.Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        _run("qemu-img", "convert", "-O", "raw", release.disk, self.path)

    def partitions(self):
        """{label: (number, offset, size)} in bytes."""
        table = json.loads(_run("sfdisk", "--json", self.path))["partitiontable"]
        return {entry["name"]: (number, entry["start"] * SECTOR, entry["size"] * SECTOR)
                for number, entry in enumerate(table["partitions"], 1)}

    def arm(self, release, slot="root-b", tries="+3"):
        """Brings a release into a slot and gives it a boot entry with that counter, as an update does with three tries."""
        self.write(slot, release.folder / "root.img")
        self.write(f"{slot}-verity", release.folder / "root.verity")
        for label, digits in ((slot, release.root_hash[:32]), (f"{slot}-verity", release.root_hash[32:])):
            uuid = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
            _run("sfdisk", "--part-uuid", self.path, str(self.partitions()[label][0]), uuid)
        self.esp("mcopy", "-o", release.folder / "uki.efi", f"::EFI/Linux/proa_{release.version}{tries}.efi")

    def write(self, label, source, offset=0):
        """Copies a file into a partition."""
        start, size = self.partitions()[label][1:]
        if offset + os.path.getsize(source) > size:
            raise AssertionError(f"{source} does not fit into {label}")
        with open(source, "rb") as file, open(self.path, "r+b") as disk:
            where = start + offset
            while block := file.read(1 << 20):
                disk.seek(where)
                disk.write(block)
                where += len(block)

    def overwrite(self, label, offset, data):
        """Writes bytes into a partition."""
        with open(self.path, "r+b") as disk:
            disk.seek(self.partitions()[label][1] + offset)
            disk.write(data)

    def delete(self, label):
        """Removes a partition from both partition tables."""
        _run("sfdisk", "--delete", self.path, str(self.partitions()[label][0]))

    def esp(self, tool, *arguments):
        """Runs one of mtools on the EFI system partition."""
        label = next(name for name in self.partitions() if name.lower() == "esp")
        return _run(tool, "-i", f"{self.path}@@{self.partitions()[label][1]}", *arguments)

    def change_words(self, name, old, new):
        """Replaces words of the command line in a boot entry by others that are no longer."""
        copy = self.path.with_suffix(".efi")
        self.esp("mcopy", "-o", f"::EFI/Linux/{name}", copy)
        image = copy.read_bytes()
        if image.count(old.encode()) != 1 or len(new) > len(old):
            raise AssertionError(f"{name}: {old!r} cannot be replaced by {new!r}")
        copy.write_bytes(image.replace(old.encode(), new.ljust(len(old)).encode()))
        self.esp("mcopy", "-o", copy, f"::EFI/Linux/{name}")
        copy.unlink()

    def add_to_initrd(self, version, files):
        """Files for the initrd of the entries of a release, by an addon beside them (systemd-stub(7)): {path: text, or a file
        to copy}."""
        with tempfile.TemporaryDirectory() as work:
            folder = pathlib.Path(work)
            for path, content in files.items():
                (folder / "files" / path).parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, pathlib.Path):
                    shutil.copy(content, folder / "files" / path)
                else:
                    (folder / "files" / path).write_text(content)
            write_cpio(folder / "files", folder / "initrd")
            _run("ukify", "build", f"--initrd={folder}/initrd", f"--output={folder}/more.addon.efi")
            beside = f"::EFI/Linux/proa_{version}.efi.extra.d"
            self.esp("mmd", beside)
            self.esp("mcopy", folder / "more.addon.efi", f"{beside}/more.addon.efi")

    def fill_esp(self):
        """Leaves no room for another file on the ESP."""
        rest = self.path.with_suffix(".rest")
        for size in (1 << 20, 1 << 15, 1 << 9):
            rest.write_bytes(bytes(size))
            for number in range(4096):
                try:
                    self.esp("mcopy", "-o", rest, f"::rest-{size}-{number}")
                except AssertionError:
                    break
        rest.unlink()

    def throw_away(self):
        self.path.unlink(missing_ok=True)


def _run(*command):
    done = subprocess.run([str(word) for word in command], text=True, capture_output=True)
    if done.returncode:
        raise AssertionError(f"{command[0]} failed: {done.stderr.strip()[-300:]}")
    return done.stdout
