# SPDX-License-Identifier: Apache-2.0
"""packages: the tree as Debian's packages make it, before anything of ours is in it; and the lock that says what went in.

This is the slow part of a build, so it is kept: a tree is used again as long as the mirror's indices, the definition's
[packages] and this file are the same.
"""

import contextlib
import json
import os
import pathlib
import re

from . import command, digest, kernel, paths, suites
from .failure import Failure
from .progress import step

# What maintainer scripts and the installation itself leave behind: of no use on a node, or different at every build.
LEFTOVERS = (
    "boot/*", "initrd.img*", "vmlinuz*", "dev/*", "run/*", "tmp/*", "proc/*", "sys/*",
    "etc/apt", "etc/dpkg", "etc/.pwd.lock", "etc/*-", "etc/.resolv.conf*", "etc/hostname", "etc/resolv.conf",
    "etc/init.d", "etc/rc?.d", "etc/runit", "etc/sv", "etc/cron.*", "etc/logrotate.d", "etc/ppp", "etc/initramfs-tools",
    "etc/kernel/p*.d", "etc/debconf.conf", "etc/ucf.conf", "etc/ssh/ssh_host_*", "etc/ld.so.cache", "etc/fstab", "etc/network",
    "etc/systemd/system/*", "etc/systemd/user/*", "etc/machine-id", "etc/subuid*", "etc/subgid*", "etc/update-motd.d",
    "var/lib/dpkg", "var/lib/apt", "var/lib/ucf", "var/lib/pam", "var/lib/shells.state", "var/lib/systemd/deb-systemd*",
    "var/lib/systemd/catalog/database", "var/lib/wtmpdb/*", "var/lib/tpm", "var/lib/initramfs-tools", "var/lib/misc/*",
    "var/cache/*", "var/log/*", "var/backups", "var/mail", "var/spool/mail", "var/lib/dbus/machine-id",
    "usr/lib/udev/hwdb.bin", "usr/share/mime/mime.cache",
)
# Taken when the code is loaded, not when it is used: a build may wait for another one in between.
CODE = [digest.of_file(pathlib.Path(__file__).parent / name) for name in ("packages.py", "kernel.py", "paths.py")]


def key(definition, release, offered):
    """The name under which the packages tree of a release is kept."""
    return digest.of_value(["packages", offered, release.suites, vars(definition.packages), CODE])


def make(definition, release, folder, debs):
    """Makes folder/root (the tree), folder/packages.json and folder/vmlinuz. debs: a cache of downloaded packages."""
    root = folder / "root"
    _bootstrap(definition, release, root, debs, folder / "mmdebstrap.log")
    entries, built = _installed(root)
    _keep_debs(root, debs)
    step(f"{release.name}: {len(entries)} packages unpacked; taking out what a node does not need")
    _remove_packages(root, definition.packages.remove, entries)
    version = kernel.take_image(root, folder / "vmlinuz")
    (root / "usr/lib/systemd/boot/efi").rename(folder / "efi")
    _prune(root, LEFTOVERS + tuple(definition.packages.prune))
    prune_completions(root)
    kernel.decompress_modules(root, version)
    _normalise_accounts(root)
    offers = suites.offered(release.suites, definition.packages.components, debs.parent / "suites")
    (folder / "packages.json").write_text(json.dumps(
        {"built": built, "kernel": version, "offered": offers, "packages": entries}, indent=1) + "\n")


def _bootstrap(definition, release, root, debs, log):
    packages = definition.packages
    debs.mkdir(parents=True, exist_ok=True)
    step(f"{release.name}: installing {', '.join(release.suites)} (log: {log})")
    argv = [
        "mmdebstrap", "--mode=root", "--variant=essential", "--format=directory", "--architectures=amd64",
        "--include=" + ",".join([*packages.install, packages.kernel]),
        "--aptopt=APT::Install-Recommends \"false\"", "--aptopt=Acquire::Languages \"none\"",
        "--aptopt=Acquire::Retries \"3\"", "--dpkgopt=force-unsafe-io",
        *[f"--dpkgopt=path-exclude={path}" for path in packages.exclude],
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        # Packages downloaded before are used again; apt checks the digest of each against the signed index.
        f"--setup-hook=mkdir -p \"$1/var/cache/apt/archives\" && find {debs} -name '*.deb' "
        "-exec cp -l -t \"$1/var/cache/apt/archives\" {} +",
        # The initrd is made by us; update-initramfs would only cost time.
        "--setup-hook=mkdir -p \"$1/etc/initramfs-tools\" && "
        "echo update_initramfs=no >\"$1/etc/initramfs-tools/update-initramfs.conf\"",
        "--dpkgopt=force-confold",
        "--skip=essential/unlink,download/empty,cleanup/apt/lists,cleanup/apt/cache",
        release.suites[0], str(root), *suites.sources(release.suites, packages.components),
    ]
    log.unlink(missing_ok=True)
    command.run(argv, env={"SOURCE_DATE_EPOCH": "1", "INITRD": "No"}, log=log)


def _installed(root):
    """What is installed, from the package files themselves and the signed indices; and the newest build time among them."""
    index = _index(root)
    status = _paragraphs((root / "var/lib/dpkg/status").read_text())
    entries, built = [], 0
    for package in status:
        if package.get("Status") != "install ok installed":
            raise Failure(f"package {package['Package']} is in state {package.get('Status')!r} after the installation")
        name, version, architecture = (package[field] for field in ("Package", "Version", "Architecture"))
        deb = root / "var/cache/apt/archives" / f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"
        if not deb.exists():
            raise Failure(f"package {name} {version}: its file is not among those that apt left behind ({deb.name})")
        known = index.get((name, version, architecture))
        if known is None:
            raise Failure(f"package {name} {version} is in none of the release's indices")
        found = digest.of_file(deb)
        if found != known["SHA256"]:
            raise Failure(f"{deb.name}: SHA-256 is {found}, the index says {known['SHA256']}")
        source = re.fullmatch(r"(\S+)(?: \((.+)\))?", known.get("Source", name))
        entries.append({
            "name": name, "version": version, "architecture": architecture, "sha256": found,
            "source": source[1], "source_version": source[2] or version, "homepage": known.get("Homepage", ""),
            "on_node": True,
        })
        built = max(built, _built(deb))
    return sorted(entries, key=lambda entry: (entry["name"], entry["architecture"])), built


def _index(root):
    found = {}
    for path in sorted((root / "var/lib/apt/lists").glob("*_Packages")):
        for package in _paragraphs(path.read_text()):
            found[package["Package"], package["Version"], package["Architecture"]] = package
    if not found:
        raise Failure("apt left no package index behind")
    return found


def _paragraphs(text):
    """The paragraphs of a Debian control file; of each the fields of one line."""
    for paragraph in text.split("\n\n"):
        if paragraph.strip():
            yield dict(line.split(": ", 1) for line in paragraph.split("\n") if ": " in line and line[0] not in " \t")


def _built(deb):
    """When a package was built: the time in the first member header of the .deb (an ar archive)."""
    with open(deb, "rb") as file:
        head = file.read(68)
    if head[:8] != b"!<arch>\n" or not head[24:36].strip().isdigit():
        raise Failure(f"{deb.name}: not a Debian package")
    return int(head[24:36])


def _keep_debs(root, debs):
    for deb in (root / "var/cache/apt/archives").glob("*.deb"):
        with contextlib.suppress(FileExistsError):
            os.link(deb, debs / deb.name)


def _remove_packages(root, names, entries):
    """Takes the files of packages out of the tree: they were needed to install the others."""
    by_name = {entry["name"]: entry for entry in entries}
    info = root / "var/lib/dpkg/info"
    kept = set()
    lists = {}
    for name in by_name:
        found = [path for path in (info / f"{name}.list", info / f"{name}:amd64.list") if path.exists()]
        lists[name] = found[0].read_text().split("\n") if found else []
        if name not in names:
            kept.update(lists[name])
    for name in names:
        if name not in by_name:
            raise Failure(f"[packages] remove: {name!r} is not installed")
        by_name[name]["on_node"] = False
        for line in sorted(filter(None, lists[name]), reverse=True):
            path = root / line.lstrip("/")
            if line in kept:
                continue
            if path.is_symlink() or path.is_file():
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def _prune(root, patterns):
    for pattern in patterns:
        for path in paths.matching(root, pattern):
            paths.remove(path)


def prune_completions(root):
    """Takes out the shell completions of programs that are not there: a thousand files of a block each."""
    folder = root / "usr/share/bash-completion/completions"
    programs = {path.name for place in ("usr/bin", "usr/sbin") for path in (root / place).glob("*")}
    kept = {path for path in folder.glob("*") if path.name.removeprefix("_") in programs}
    kept |= {folder / os.readlink(path) for path in kept if path.is_symlink()}
    for path in set(folder.glob("*")) - kept:
        path.unlink()


def _normalise_accounts(root):
    """Empties the day of the last password change: it is the day of the build."""
    shadow = root / "etc/shadow"
    lines = [line.split(":") for line in shadow.read_text().splitlines()]
    shadow.write_text("".join(":".join([*fields[:2], "", *fields[3:]]) + "\n" for fields in lines))
