# SPDX-License-Identifier: Apache-2.0
"""digest: content as a name. What a build was made from is hashed; equal hash, equal result."""

import hashlib
import json
import os
import pathlib
import stat


def of_bytes(data):
    """SHA-256 of bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def of_file(path):
    """SHA-256 of a file's content, hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_value(value):
    """SHA-256 of a value made of dicts, lists, strings and numbers."""
    return of_bytes(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def of_tree(top):
    """SHA-256 over every path, type, mode, link target and content below a directory; times do not count."""
    lines = []
    top = pathlib.Path(top)
    for folder, folders, files in os.walk(top):
        folders.sort()
        for name in sorted(folders + files):
            path = pathlib.Path(folder, name)
            info = path.lstat()
            where = str(path.relative_to(top))
            if stat.S_ISLNK(info.st_mode):
                lines.append([where, "link", os.readlink(path)])
            elif stat.S_ISREG(info.st_mode):
                lines.append([where, stat.S_IMODE(info.st_mode), of_file(path)])
            else:
                lines.append([where, stat.S_IMODE(info.st_mode), stat.S_IFMT(info.st_mode)])
    return of_value(lines)
