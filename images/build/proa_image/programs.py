# SPDX-License-Identifier: Apache-2.0
"""programs: our own programs, units and man pages, as meson installs them on a node."""

import pathlib
import shutil

from . import command, digest
from .cache import remove
from .failure import Failure

CANARY = "usr/lib/proa/canary"  # on its way into the tree: canary.make() puts it into a container image


def stage(build_dir, folder):
    """Installs what the build directory holds into `folder` (stripped) and returns the digest of it."""
    build_dir = pathlib.Path(build_dir)
    if not (build_dir / "build.ninja").exists():
        raise Failure(f"{build_dir}: not a meson build directory; ./dev build makes it")
    remove(folder)
    folder.mkdir(parents=True)
    command.run(["meson", "install", "-C", build_dir, "--no-rebuild", "--quiet", "--tags", "node",
                 "--destdir", folder.resolve()])
    canary = build_dir / "images/node/canary"
    if not canary.exists():
        raise Failure(f"{canary}: not compiled; ./dev build does it")
    (folder / CANARY).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(canary, folder / CANARY)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and is_elf(path):
            # The build identifier is made from the place of the sources too; without it every place gives the same root.
            command.run(["strip", "--strip-all", "--remove-section=.note.gnu.build-id", "--remove-section=.comment", path])
    return digest.of_tree(folder)


def is_elf(path):
    """Whether a file is an ELF object."""
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def check_required(folder, names):
    """A Failure if one of the programs that a node can't do without is missing."""
    for name in names:
        if not (folder / name.lstrip("/")).exists():
            raise Failure(f"[programs] required: {name} was not built (./dev build), so this image would lack it")
