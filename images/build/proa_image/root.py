# SPDX-License-Identifier: Apache-2.0
"""root: the root image (EROFS) and its hash tree (dm-verity)."""

import re

from . import command
from .failure import Failure

BLOCK = 4096


def make_image(tree, image, definition, built):
    """Makes the EROFS image of a tree: uncompressed, every time stamp `built`."""
    image.unlink(missing_ok=True)
    command.run(["mkfs.erofs", "--quiet", f"-U{definition.root_uuid}", f"-T{built}", "--all-time", f"-b{BLOCK}",
                 "-Lproa-root", image, tree])
    size = image.stat().st_size
    if size % BLOCK:
        with open(image, "ab") as file:
            file.truncate(size + BLOCK - size % BLOCK)
    if image.stat().st_size > definition.disk.slot_mib << 20:
        raise Failure(f"the root image has {image.stat().st_size} bytes; [disk] slot_mib allows {definition.disk.slot_mib} MiB")


def make_hash_tree(image, tree, definition):
    """Makes the hash tree of an image with a superblock before it, and returns the root hash."""
    tree.unlink(missing_ok=True)
    text = command.run(["veritysetup", "format", image, tree, "--hash=sha256", f"--data-block-size={BLOCK}",
                        f"--hash-block-size={BLOCK}", f"--salt={definition.root_salt}", f"--uuid={definition.root_uuid}"])
    found = re.search(r"^Root hash:\s+([0-9a-f]{64})$", text, re.MULTILINE)
    if not found:
        raise Failure("veritysetup named no root hash")
    return found[1]


def check(image, tree, root_hash):
    """A Failure unless every block of the image is what the root hash stands for."""
    try:
        command.run(["veritysetup", "verify", image, tree, root_hash])
    except Failure as error:
        raise Failure(f"{image}: does not have the root hash {root_hash}") from error
