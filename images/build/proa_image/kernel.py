# SPDX-License-Identifier: Apache-2.0
"""kernel: its image, and its modules stored decompressed (deltas between releases are small that way)."""

import concurrent.futures
import lzma
import os
import pathlib
import shutil

from . import command
from .failure import Failure


def take_image(root, to):
    """Moves the one kernel image of the tree out of it and returns the kernel's version."""
    images = sorted((root / "boot").glob("vmlinuz-*"))
    if len(images) != 1:
        raise Failure(f"expected one kernel in the tree, found {[path.name for path in images]}")
    shutil.copyfile(images[0], to)
    return images[0].name.removeprefix("vmlinuz-")


def decompress_modules(root, version):
    """Stores every module decompressed, and makes the indices that modprobe reads."""
    folder = root / "usr/lib/modules" / version
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(_decompress, sorted(folder.rglob("*.ko.xz"))))
    command.run(["depmod", "-b", root, version])


def _decompress(path):
    path.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
    path.unlink()


def modules_with_dependencies(root, version, names):
    """The module files (paths below the tree) of the named modules and of all that they need.

    A name that is built into the kernel gives nothing; one that does not exist is a Failure.
    """
    folder = pathlib.Path("usr/lib/modules") / version
    needs = {}
    for line in (root / folder / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
    by_name = {_name(path): path for path in needs}
    builtin = {_name(path) for path in (root / folder / "modules.builtin").read_text().split()}
    wanted = set()
    for name in names:
        plain = name.replace("-", "_")
        if plain in by_name:
            wanted.update([by_name[plain], *needs[by_name[plain]]])
        elif plain not in builtin:
            raise Failure(f"[initrd] modules: the kernel {version} has no module {name!r}")
    return sorted(folder / path for path in wanted)


def _name(path):
    return os.path.basename(path).split(".")[0].replace("-", "_")
