# SPDX-License-Identifier: Apache-2.0
"""peers: what others make of the same update, each by its own program from Debian, with its defaults."""

import hashlib
import os
import re
import shutil
import struct
import subprocess
import zlib

from measuring import measure, say, warm

BLOCK = 4096
# A metadata block of squashfs: two bytes of length, whose highest bit says "not compressed".
_PLAIN = 0x8000


def _quiet(*command, **options):
    return subprocess.run([*map(str, command)], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options).stdout


def ostree(work, repository, old_tree, new_tree):
    """A static delta of the trees, made and applied in copies of the repository that share its objects."""
    repo, target, delta = work / "repo", work / "target", work / "ostree.delta"
    shutil.copytree(repository, repo, copy_function=os.link, symlinks=True)
    warm(repo)
    made = measure("ostree", f"--repo={repo}", "static-delta", "generate", f"--from={old_tree}", f"--to={new_tree}", "--inline",
                   "--min-fallback-size=0", f"--filename={delta}")
    _quiet("ostree", "init", f"--repo={target}", "--mode=bare-user")
    _quiet("ostree", f"--repo={target}", "pull-local", repo, old_tree)
    applied = measure("ostree", f"--repo={target}", "static-delta", "apply-offline", delta)
    return {"bytes": delta.stat().st_size, "made": made, "applied": applied}


def _metadata(data, at, end):
    """The bytes of squashfs's metadata blocks from @at to @end."""
    out = b""
    while at < end:
        head, = struct.unpack_from("<H", data, at)
        size = head & ~_PLAIN
        block = data[at + 2:at + 2 + size]
        out += block if head & _PLAIN else zlib.decompress(block)
        at += 2 + size
    return out


def squashfs_files(path):
    """
    {size of a file: compressed sizes of its blocks} of a squashfs of a few files, and its block size. Fields as in the
    kernel's fs/squashfs/squashfs_fs.h; a bundle's images are told apart by their size.
    """
    data = path.read_bytes()
    magic, inodes, _, block_size, _, compression = struct.unpack_from("<IIIIIH", data, 0)
    inode_table, directory_table = struct.unpack_from("<QQ", data, 64)
    if magic != 0x73717368 or compression != 1:
        raise RuntimeError(f"{path} is no squashfs with zlib, which rauc makes by default")
    table, at, files = _metadata(data, inode_table, directory_table), 0, {}
    for _ in range(inodes):
        kind, = struct.unpack_from("<H", table, at)
        if kind == 1:
            at += 32
        elif kind == 2:
            fragment, size = struct.unpack_from("<I4xI", table, at + 20)
            at += 32
        elif kind == 9:
            size, = struct.unpack_from("<Q", table, at + 24)
            fragment, = struct.unpack_from("<I", table, at + 44)
            at += 56
        else:
            raise RuntimeError(f"{path}: an inode of type {kind} is not expected in a bundle")
        if kind in (2, 9):
            n = size // block_size + (fragment == 0xFFFFFFFF and size % block_size != 0)
            sizes = struct.unpack_from(f"<{n}I", table, at)
            files[size] = [entry & 0xFFFFFF for entry in sizes]
            at += 4 * n
    return files, block_size


def _blocks(path):
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            yield hashlib.sha256(block).digest()


def rauc(work, old, new):
    """
    What an adaptive update would fetch: the index of the image, and each compressed block of the bundle's squashfs that holds
    a block of 4096 bytes which the old image has not. The bundle's papers, and that a part of it is read twice, are left out.
    """
    content, key, cert, bundle = work / "rauc", work / "rauc.key", work / "rauc.crt", work / "update.raucb"
    content.mkdir()
    os.link(new, content / "root.img")
    (content / "manifest.raucm").write_text("[update]\ncompatible=bench\nversion=1\n[bundle]\nformat=verity\n"
                                            "[image.rootfs]\nfilename=root.img\nadaptive=block-hash-index\n")
    _quiet("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-subj", "/CN=bench", "-days", "2")
    made = measure("rauc", "bundle", f"--cert={cert}", f"--key={key}", f"--keyring={cert}", content, bundle)
    files, block_size = squashfs_files(bundle)
    size = new.stat().st_size
    held = set(_blocks(old)) | {hashlib.sha256(bytes(BLOCK)).digest()}
    missing = {i * BLOCK // block_size for i, block in enumerate(_blocks(new)) if block not in held}
    data = sum(files[size][i] for i in missing)
    index_size = size // BLOCK * 32
    index = sum(files[index_size]) or index_size
    return {"bytes": index + data, "bundle_bytes": bundle.stat().st_size, "index_bytes": index, "made": made}


def casync(work, old, new):
    """The new image's index and its chunks that the old one has not."""
    stores = [work / "old.castr", work / "new.castr"]
    _quiet("casync", "make", f"--store={stores[0]}", work / "old.caibx", old)
    made = measure("casync", "make", f"--store={stores[1]}", work / "new.caibx", new)
    held = {path.name for path in stores[0].rglob("*.cacnk")}
    fetched = sum(path.stat().st_size for path in stores[1].rglob("*.cacnk") if path.name not in held)
    return {"bytes": fetched + (work / "new.caibx").stat().st_size, "made": made}


def zchunk(work, old, new):
    """The new file's header and its chunks that the old one has not, as zchunk's own tool counts them."""
    _quiet("zck", "-o", work / "old.zck", old)
    made = measure("zck", "-o", work / "new.zck", new)
    said = _quiet("zck_delta_size", work / "old.zck", work / "new.zck")
    found = re.search(r"Would download (?:in total )?(\d+) of", said)
    if not found:
        raise RuntimeError(f"zck_delta_size said: {said}")
    return {"bytes": int(found[1]), "made": made}


def zstd(work, old, new):
    made = measure("zstd", "-q", "-f", "-19", "-T0", "--long=30", f"--patch-from={old}", new, "-o", work / "zstd")
    applied = measure("zstd", "-q", "-f", "-d", "--long=30", "--memory=2048MB", f"--patch-from={old}", work / "zstd", "-o", work / "zstd.out")
    return {"bytes": (work / "zstd").stat().st_size, "made": made, "applied": applied}


def _names(folder):
    """The regular files of a tree, by their paths without versions."""
    return {re.sub(r"\d+(\.\d+)+([-+~.]?[\w]*\d)*", "N", str(path.relative_to(folder))): path
            for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


def bsdiff(work, repository, old_tree, new_tree):
    """
    Each file that changed from its counterpart of the same name, or from nothing: over a whole image bsdiff needs 17 bytes of
    memory for each of its bytes.
    """
    trees = [work / "tree-old", work / "tree-new"]
    for tree, commit in zip(trees, (old_tree, new_tree)):
        _quiet("ostree", f"--repo={repository}", "checkout", "--user-mode", commit, tree)
    old, new = map(_names, trees)
    patch, total, spent, peak, count = work / "patch", 0, 0.0, 0, 0
    (work / "nothing").touch()
    for name, path in new.items():
        before = old.get(name, work / "nothing")
        if before.stat().st_size == path.stat().st_size and before.read_bytes() == path.read_bytes():
            continue
        cost = measure("bsdiff", before, path, patch)
        total, spent, peak, count = total + patch.stat().st_size, spent + cost["cpu_seconds"], max(peak, cost["peak_bytes"]), count + 1
        if count % 500 == 0:
            say(f"bsdiff: {count} files, {total} bytes")
    return {"bytes": total, "files": count, "made": {"seconds": round(spent, 1), "cpu_seconds": round(spent, 1), "peak_bytes": peak}}
