# SPDX-License-Identifier: Apache-2.0
"""disk: a whole disk for a first boot: ESP with the boot loader and one blessed entry, two slots, the state partition."""

import uuid

from . import command

LOADER_CONF = "timeout 0\neditor no\nauto-entries no\nauto-firmware no\n"
# Types of the Discoverable Partitions Specification for x86-64.
ROOT, HASH, STATE = "root-x86-64", "root-x86-64-verity", "var"


def make(folder, work, packages, definition, version, root_hash):
    """Makes folder/disk.raw (sparse) and folder/disk.qcow2 of folder's root.img, root.verity and uki.efi."""
    disk = definition.disk
    work.mkdir()
    (work / "loader").write_text(LOADER_CONF)
    boot = packages / "efi/systemd-bootx64.efi"
    esp = {
        "/EFI/BOOT/BOOTX64.EFI": boot, "/EFI/systemd/systemd-bootx64.efi": boot,
        "/loader/loader.conf": work / "loader", f"/EFI/Linux/proa_{version}.efi": folder / "uki.efi",
    }
    seed = uuid.UUID(disk.seed)
    _partition(work, "10-esp", "esp", "esp", disk.esp_mib, uuid.uuid5(seed, "esp"), "Format=vfat", "MakeDirectories=/EFI/proa",
               *[f"CopyFiles={source}:{target}" for target, source in esp.items()])
    _partition(work, "20-root-a", ROOT, "root-a", disk.slot_mib, root_hash[:32], f"CopyBlocks={folder / 'root.img'}",
               "ReadOnly=yes")
    _partition(work, "21-root-a-verity", HASH, "root-a-verity", disk.hash_mib, root_hash[32:],
               f"CopyBlocks={folder / 'root.verity'}", "ReadOnly=yes")
    _partition(work, "30-root-b", ROOT, "root-b", disk.slot_mib, uuid.uuid5(seed, "root-b"), "ReadOnly=yes")
    _partition(work, "31-root-b-verity", HASH, "root-b-verity", disk.hash_mib, uuid.uuid5(seed, "root-b-verity"),
               "ReadOnly=yes")
    _partition(work, "40-state", STATE, "state", disk.state_mib, uuid.uuid5(seed, "state"), "Format=ext4",
               "GrowFileSystem=yes")
    raw = folder / "disk.raw"
    raw.unlink(missing_ok=True)
    # verity: images of system extensions that a release needs are sealed (boot/pairing.h).
    command.run(["systemd-repart", "--offline=yes", "--empty=create", "--size=auto", "--dry-run=no", "--no-pager",
                 f"--definitions={work}", f"--seed={disk.seed}", raw],
                env={"SOURCE_DATE_EPOCH": "1", "SYSTEMD_REPART_MKFS_OPTIONS_EXT4": "-O verity"})
    command.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=64k", raw, folder / "disk.qcow2"])


def _partition(work, name, kind, label, mib, identifier, *more):
    text = "\n".join(["[Partition]", f"Type={kind}", f"Label={label}", f"UUID={uuid.UUID(str(identifier))}",
                      f"SizeMinBytes={mib}M", f"SizeMaxBytes={mib}M", *more])
    (work / f"{name}.conf").write_text(text + "\n")
