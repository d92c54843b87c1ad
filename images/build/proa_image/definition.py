# SPDX-License-Identifier: Apache-2.0
"""definition: what to build, read from TOML. docs/images.md explains every key."""

import dataclasses
import pathlib
import re

from .table import Table

VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.~^-]{0,63}")
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
HEX64 = re.compile(r"[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class Packages:
    """What apt installs, and what is taken out again."""

    components: list
    install: list
    remove: list
    exclude: list
    prune: list
    kernel: str


@dataclasses.dataclass(frozen=True)
class Initrd:
    """What the initrd holds."""

    files: list
    libraries: list
    modules: list
    load: list
    units: list
    compression: str
    compression_level: int


@dataclasses.dataclass(frozen=True)
class Disk:
    """Sizes in MiB, and the seed of the disk's and partitions' UUIDs."""

    esp_mib: int
    slot_mib: int
    hash_mib: int
    state_mib: int
    seed: str


@dataclasses.dataclass(frozen=True)
class Feed:
    """Where a node looks for updates, and the TUF root it trusts first."""

    url: str
    channel: str
    root: pathlib.Path
    development_keys: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Release:
    """One release: of its own packages (suites), or derived from another one (parent)."""

    name: str
    version: str
    suites: list
    parent: str
    overlay: pathlib.Path
    initrd_overlay: pathlib.Path
    remove: list
    initrd_remove: list
    command_line_append: list
    mask: list
    payload_level: int
    disk: bool


@dataclasses.dataclass(frozen=True)
class Definition:
    """The whole of a definition file, with those that it includes."""

    file: pathlib.Path
    folder: pathlib.Path
    os_release: dict
    packages: Packages
    kernel_command_line: list
    initrd: Initrd
    enable: list
    mask: list
    users: dict
    required_programs: list
    root_uuid: str
    root_salt: str
    disk: Disk
    feed: Feed
    payload_level: int
    releases: dict
    own_releases: list

    def release(self, name):
        """The release of that name; a Failure names those there are."""
        from .failure import Failure
        if name not in self.releases:
            raise Failure(f"{self.file}: no release {name!r} (there are: {', '.join(self.releases)})")
        return self.releases[name]

    def origin(self, release):
        """The release with suites of its own that a release was derived from; itself if it has suites."""
        while release.parent:
            release = self.releases[release.parent]
        return release


def load(file, top):
    """Reads a definition file. `top` is the project's directory: paths in [feed] are relative to it.

    A file with `definition = "..."` has releases only and takes the rest from that file (a path relative to top).
    """
    table = Table.load(file)
    if not table.has("definition"):
        return _whole(table, top)
    base_file = pathlib.Path(top, table.string("definition"))
    base = load(base_file, top)
    releases = dict(base.releases)
    own = _releases(table, releases)
    table.finish()
    return dataclasses.replace(base, file=pathlib.Path(file), releases=releases, own_releases=own)


def _whole(table, top):
    os_table = table.table("os")
    os_release = {key: os_table.string(key) for key in os_table.keys()}
    kernel = table.table("kernel")
    root = table.table("root")
    payload = table.table("payload")
    services = table.table("services")
    programs = table.table("programs")
    users = table.table("users", {})
    releases = {}
    made = Definition(
        file=table.file,
        folder=table.file.resolve().parent,
        os_release=os_release,
        packages=_packages(table.table("packages"), kernel.string("package")),
        kernel_command_line=kernel.strings("command_line"),
        initrd=_initrd(table.table("initrd")),
        enable=services.strings("enable"),
        mask=services.strings("mask", []),
        users={name: users.integer(name, 100, 999) for name in users.keys()},
        required_programs=programs.strings("required", []),
        root_uuid=_match(root, "uuid", UUID, "a UUID in lower case"),
        root_salt=_match(root, "salt", HEX64, "64 hexadecimal digits in lower case"),
        disk=_disk(table.table("disk")),
        feed=_feed(table.table("feed"), top),
        payload_level=payload.integer("compression_level", 1, 22),
        releases=releases,
        own_releases=_releases(table, releases),
    )
    for part in (kernel, root, payload, services, programs, table):
        part.finish()
    for key in os_release:
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", key):
            os_table.fail(key, "a key of os-release has capital letters, digits and _ only")
    return made


def _packages(table, kernel):
    made = Packages(
        components=table.strings("components"),
        install=table.strings("install"),
        remove=table.strings("remove"),
        exclude=table.strings("exclude", []),
        prune=table.strings("prune", []),
        kernel=kernel,
    )
    table.finish()
    return made


def _initrd(table):
    made = Initrd(
        files=table.strings("files"),
        libraries=table.strings("libraries", []),
        modules=table.strings("modules"),
        load=table.strings("load", []),
        units=table.strings("units"),
        compression=_match(table, "compression", re.compile("none|zstd"), '"none" or "zstd"'),
        compression_level=table.integer("compression_level", 1, 22),
    )
    table.finish()
    return made


def _disk(table):
    made = Disk(
        esp_mib=table.integer("esp_mib", 64, 65536),
        slot_mib=table.integer("slot_mib", 64, 65536),
        hash_mib=table.integer("hash_mib", 1, 4096),
        state_mib=table.integer("state_mib", 64, 1 << 20),
        seed=_match(table, "seed", UUID, "a UUID in lower case"),
    )
    if made.hash_mib * 127 < made.slot_mib:
        table.fail("hash_mib", f"a slot of {made.slot_mib} MiB needs a hash tree of up to {made.slot_mib // 127 + 1} MiB")
    table.finish()
    return made


def _feed(table, top):
    made = Feed(
        url=table.string("url"),
        channel=table.string("channel"),
        root=pathlib.Path(top, table.string("root")),
        development_keys=_path(top, table.string("development_keys", None)),
    )
    table.finish()
    return made


def _path(top, name):
    return None if name is None else pathlib.Path(top, name)


def _match(table, key, pattern, words):
    value = table.string(key)
    if not pattern.fullmatch(value):
        table.fail(key, f"expected {words}")
    return value


def _releases(table, known):
    """Reads [releases.*] into `known` and returns the names read."""
    section = table.table("releases")
    names = section.keys()
    if not names:
        table.fail("releases", "at least one release is needed")
    for name in names:
        if not NAME.fullmatch(name):
            section.fail(name, "a release's name has small letters, digits and - only")
        if name in known:
            section.fail(name, "a release of this name is in the definition that this file takes the rest from")
    for name in names:
        known[name] = _release(section.table(name), name)
    for name in names:
        _check_parents(section, name, known)
    return names


def _release(table, name):
    folder = table.file.resolve().parent
    parent = table.string("from", None)
    if (parent is None) == (not table.has("suites")):
        table.fail("suites", "a release has either suites or from")
    made = Release(
        name=name,
        version=_match(table, "version", VERSION, "a version: 1 to 64 of A-Z a-z 0-9 . ~ ^ -"),
        suites=table.strings("suites", []),
        parent=parent,
        overlay=_folder(table, "overlay", folder),
        initrd_overlay=_folder(table, "initrd_overlay", folder),
        remove=table.strings("remove", []),
        initrd_remove=table.strings("initrd_remove", []),
        command_line_append=table.strings("kernel_command_line_append", []),
        mask=table.strings("mask", []),
        payload_level=table.integer("payload_level", 1, 22, None),
        disk=table.boolean("disk", parent is None),
    )
    if parent is None and not made.suites:
        table.fail("suites", "must not be empty")
    table.finish()
    return made


def _folder(table, key, folder):
    value = table.string(key, None)
    if value is None:
        return None
    path = folder / value
    if not path.is_dir():
        table.fail(key, f"{path} is not a directory")
    return path


def _check_parents(section, name, known):
    seen = [name]
    while (parent := known[seen[-1]].parent) is not None:
        if parent not in known:
            section.fail(f"{seen[-1]}.from", f"there is no release {parent!r}")
        if parent in seen:
            section.fail(f"{name}.from", "releases are derived from each other in a circle")
        seen.append(parent)
