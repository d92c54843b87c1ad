# SPDX-License-Identifier: Apache-2.0
"""elf: which shared libraries a program needs, read from the file; nothing of the tree is run."""

import os
import pathlib
import struct

from .failure import Failure

LIBRARY_DIRS = ("usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/systemd", "usr/lib", "usr/lib64")
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NEEDED, DT_STRTAB = 1, 5


def needed(data):
    """The names in DT_NEEDED of an ELF file of 64 bits, and its interpreter if it has one."""
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a little-endian ELF file of 64 bits")
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<IIQQQQQQ", data, offset + index * size) for index in range(count)]
    found, names, strings = [], [], 0
    for kind, _, at, _, _, length, _, _ in headers:
        if kind == PT_INTERP:
            found.append(data[at:at + length].rstrip(b"\0").decode())
        if kind == PT_DYNAMIC:
            entries = [struct.unpack_from("<QQ", data, at + index) for index in range(0, length, 16)]
            names = [value for tag, value in entries if tag == DT_NEEDED]
            strings = next((value for tag, value in entries if tag == DT_STRTAB), 0)
    for kind, _, at, address, _, length, _, _ in headers:
        if kind == PT_LOAD and address <= strings < address + length:
            strings += at - address
            break
    for name in names:
        start = strings + name
        found.append(data[start:data.index(b"\0", start)].decode())
    return found


def closure(tree, paths):
    """The paths (below the tree) of all libraries that the ELF files among `paths` need, directly or not."""
    found, queue = set(), list(paths)
    while queue:
        path = pathlib.Path(tree, queue.pop())
        with open(path, "rb") as file:
            if file.read(4) != b"\x7fELF":
                continue
        for name in needed(path.read_bytes()):
            where = library(tree, name, path)
            if where not in found:
                found.add(where)
                queue.append(where)
    return sorted(found)


def library(tree, name, needed_by=None):
    """The path below the tree of a library, as the loader would find it in the usual directories."""
    if name.startswith("/"):  # the interpreter; /lib64 is a link to /usr/lib64
        return f"usr{name}"
    for folder in LIBRARY_DIRS:
        path = pathlib.Path(tree, folder, os.path.basename(name))
        if path.exists() or path.is_symlink():
            return f"{folder}/{os.path.basename(name)}"
    raise Failure(f"the tree has no library {name}" + (f", which {needed_by} needs" if needed_by else ""))
