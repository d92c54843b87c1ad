# SPDX-License-Identifier: Apache-2.0
"""uki: kernel, initrd and command line as one EFI program, so that one signature or digest covers all three."""

from . import command

STUB = "usr/lib/systemd/boot/efi/linuxx64.efi.stub"
BOOT_LOADER = "usr/lib/systemd/boot/efi/systemd-bootx64.efi"


def command_line(definition, lineage, root_hash):
    """The kernel command line of a release."""
    added = [word for step in lineage for word in step.command_line_append]
    return " ".join([f"roothash={root_hash}", *definition.kernel_command_line, *added])


def make(packages, tree, initrd, to, line, kernel_version):
    """Makes the UKI."""
    folder = to.parent
    (folder / "cmdline").write_text(line)
    command.run([
        "ukify", "build", f"--linux={packages / 'vmlinuz'}", f"--initrd={initrd}", f"--cmdline=@{folder / 'cmdline'}",
        f"--os-release=@{tree / 'usr/lib/os-release'}", f"--uname={kernel_version}", f"--stub={packages / 'efi/linuxx64.efi.stub'}",
        f"--output={to}",
    ], env={"SOURCE_DATE_EPOCH": "0", "PYTHONDONTWRITEBYTECODE": "1"})
    (folder / "cmdline").unlink()
