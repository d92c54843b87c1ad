# SPDX-License-Identifier: Apache-2.0
"""initrd: chosen file by file; the same tree and definition always give the same bytes."""

import os
import pathlib
import shutil
import stat

from . import command, digest, elf, kernel, tree as tree_module
from .failure import Failure

UNITS = "usr/lib/systemd/system"
FOLDERS = ("dev", "proc", "sys", "run", "tmp", "sysroot", "var", "etc", "usr/bin", "usr/lib", "usr/lib64", "root")
ARCHIVE = "initrd.cpio"
CODE = digest.of_file(__file__)
LINKS = {"bin": "usr/bin", "sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "usr/sbin": "bin",
         "init": "usr/lib/systemd/systemd", "etc/os-release": "../usr/lib/os-release",
         "etc/initrd-release": "../usr/lib/os-release", "var/run": "../run"}


def make(tree, folder, definition, version, lineage, cache):
    """Lays the initrd of a tree out in `folder` and returns its archive (cpio, packed or not), kept in the cache by its content."""
    initrd = definition.initrd
    folder.mkdir(mode=0o755)
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, target in LINKS.items():
        (folder / name).symlink_to(target)
    (folder / "usr/lib/os-release").write_text(_release_file(definition.os_release))
    for path in initrd.files:
        _take(tree, folder, path)
    for name in initrd.libraries:
        _take(tree, folder, elf.library(tree, name))
    _take_units(tree, folder, initrd.units)
    shutil.copytree(definition.folder / "initrd", folder, symlinks=True, dirs_exist_ok=True)
    for step in lineage:
        if step.initrd_overlay:
            shutil.copytree(step.initrd_overlay, folder, symlinks=True, dirs_exist_ok=True)
    _take_libraries(tree, folder)
    _take_modules(tree, folder, version, initrd)
    for step in lineage:
        tree_module.remove_paths(folder, step.initrd_remove, f"[releases.{step.name}] initrd_remove")
    level = _level(initrd, lineage)
    packed = initrd.compression == "zstd"
    key = digest.of_value(["initrd", digest.of_tree(folder), packed and level, CODE])
    kept = cache.get(key)
    if kept is None:
        made = cache.begin(key)
        write_cpio(folder, made / ARCHIVE)
        if packed:
            # One thread, and a size that is known: what a node can do again byte for byte (proa-payload(1), uki).
            command.run(["zstd", "--quiet", "--single-thread", "--ultra", f"-{level}", "--rm", made / ARCHIVE, "-o", made / "packed"])
            (made / "packed").rename(made / ARCHIVE)
        kept = cache.commit(key)
    return kept / ARCHIVE


def _level(initrd, lineage):
    """An initrd that a derived release has for itself alone is packed as quickly as the release asks for its payload."""
    alone = any(step.initrd_overlay or step.initrd_remove for step in lineage)
    return min(initrd.compression_level, lineage[-1].payload_level or initrd.compression_level) if alone else initrd.compression_level


def _release_file(os_release):
    """os-release of the initrd: without a version, so that releases whose initrds differ in nothing else share one."""
    return "".join(f'{key}="{value}"\n' for key, value in sorted({**os_release, "PRETTY_NAME": os_release["NAME"]}.items()))


def _take(tree, folder, path):
    """Copies a file of the tree, or all that matches a pattern, to the same path; links are followed by their targets."""
    found = sorted(tree.glob(path.lstrip("/")))
    if not found:
        raise Failure(f"[initrd] files: the tree has no {path}")
    for source in found:
        where = source.relative_to(tree)
        target = folder / where
        if target.exists() or target.is_symlink():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(os.readlink(source))
            # Follow it within the tree: an absolute target is below the tree too.
            link = os.readlink(source)
            real = pathlib.Path(link.lstrip("/")) if link.startswith("/") else pathlib.Path(
                os.path.normpath(where.parent / link))
            if (tree / real).exists() and link != "/dev/null":
                _take(tree, folder, str(real))
        elif source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy(source, target)


def _take_units(tree, folder, names):
    """Copies units with their drop-ins, and each want among them that the tree declares statically."""
    for name in names:
        if not (tree / UNITS / name).exists() and not (tree / UNITS / name).is_symlink():
            raise Failure(f"[initrd] units: the tree has no {name}")
        _take(tree, folder, f"{UNITS}/{name}")
        if (tree / UNITS / f"{name}.d").is_dir():
            _take(tree, folder, f"{UNITS}/{name}.d")
    have = {path.name for path in (folder / UNITS).iterdir()}
    for wants in sorted([*(tree / UNITS).glob("*.wants/*"), *(tree / UNITS).glob("*.requires/*")]):
        target = folder / wants.relative_to(tree)
        if wants.name in have and wants.parent.name.rpartition(".")[0] in have and not target.is_symlink():
            target.parent.mkdir(exist_ok=True)
            target.symlink_to(f"../{wants.name}")


def _take_libraries(tree, folder):
    """Copies the libraries that the programs taken so far need."""
    programs = [path for path in sorted(folder.rglob("*"))
                if path.is_file() and not path.is_symlink() and path.suffix != ".ko"]
    for path in elf.closure(tree, programs):
        _take(tree, folder, path)


def _take_modules(tree, folder, version, initrd):
    for path in kernel.modules_with_dependencies(tree, version, initrd.modules + initrd.load):
        _take(tree, folder, str(path))
    modules = f"usr/lib/modules/{version}"
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        _take(tree, folder, f"{modules}/{name}")
    command.run(["depmod", "-b", folder, version])
    (folder / modules / "modules.builtin.modinfo").unlink()
    load = folder / "usr/lib/modules-load.d/proa.conf"
    load.parent.mkdir(parents=True, exist_ok=True)
    load.write_text("".join(f"{name}\n" for name in initrd.load))


def write_cpio(folder, archive):
    """Writes a directory as a cpio archive ("newc"): paths sorted, no times, everything root's."""
    with open(archive, "wb") as out:
        paths = sorted(path.relative_to(folder) for path in folder.rglob("*"))
        for number, where in enumerate(paths, start=1):
            path = folder / where
            info = path.lstat()
            if stat.S_ISLNK(info.st_mode):
                mode, data = stat.S_IFLNK | 0o777, os.readlink(path).encode()
            elif stat.S_ISDIR(info.st_mode):
                mode, data = stat.S_IFDIR | 0o755, b""
            else:
                mode, data = stat.S_IFREG | (0o755 if info.st_mode & 0o100 else 0o644), path.read_bytes()
            _entry(out, number, mode, str(where), data)
        _entry(out, 0, 0, "TRAILER!!!", b"")


def _entry(out, number, mode, name, data):
    encoded = name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    out.write(b"070701" + b"".join(f"{field:08x}".encode() for field in fields) + encoded)
    out.write(b"\0" * (-(110 + len(encoded)) % 4))
    out.write(data + b"\0" * (-len(data) % 4))
