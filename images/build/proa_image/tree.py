# SPDX-License-Identifier: Apache-2.0
"""tree: the file tree of a release: the packages' tree with our files, identity, accounts and an empty /var."""

import json
import os
import pathlib
import shutil
import stat

from . import canary, command, paths
from .failure import Failure

PRESET = "usr/lib/systemd/system-preset/00-proa.preset"
# Directories that operators and workloads write to: they lie in /var and are links here.
IN_VAR = {"root": ("var/roothome", 0o700), "home": ("var/home", 0o755), "srv": ("var/srv", 0o755),
          "opt": ("var/opt", 0o755), "mnt": ("var/mnt", 0o755), "usr/local": ("../var/usrlocal", 0o755)}


def make(tree, packages, programs_folder, definition, release, lineage):
    """Makes the tree of a release in `tree`. packages: the kept packages tree; lineage: origin first, release last."""
    command.run(["cp", "-a", "--reflink=auto", packages / "root", tree])
    _overlay(definition.folder / "files", tree)
    _overlay(programs_folder, tree)
    canary.make(tree)
    for step in lineage:
        if step.overlay:
            _overlay(step.overlay, tree)
    _accounts(tree, definition.users)
    _identity(tree, definition, release, packages)
    _services(tree, definition.enable, definition.mask + [name for step in lineage for name in step.mask])
    _feed(tree, definition.feed)
    for step in lineage:
        remove_paths(tree, step.remove, f"[releases.{step.name}] remove")
    _links_into_var(tree)
    _empty_var(tree)
    command.run(["ldconfig", "-r", tree])
    _last(tree)


def _overlay(source, tree):
    """Copies a directory over the tree: everything belongs to root, links are replaced."""
    for folder, folders, files in os.walk(source):
        folders.sort()
        where = tree / os.path.relpath(folder, source)
        for name in sorted(folders + files):
            path, target = pathlib.Path(folder, name), where / name
            if path.is_dir() and not path.is_symlink():
                if not target.is_dir():
                    target.mkdir(mode=0o755)
                    os.chmod(target, 0o755)
                continue
            if target.is_symlink() or target.exists():
                target.unlink()
            if path.is_symlink():
                target.symlink_to(os.readlink(path))
            else:
                shutil.copyfile(path, target)
                # Of a file's mode only "executable" is kept by git, and only that is taken.
                os.chmod(target, 0o755 if path.stat().st_mode & 0o100 else 0o644)


def remove_paths(tree, patterns, where):
    """Removes what matches; a pattern that nothing matches is a Failure: the definition means something else then."""
    for pattern in patterns:
        found = paths.matching(tree, pattern)
        if not found:
            raise Failure(f"{where}: there is no {pattern}")
        for path in found:
            paths.remove(path)


def _identity(tree, definition, release, packages):
    values = {**definition.os_release, "VERSION_ID": release.version, "IMAGE_VERSION": release.version,
              "VERSION": release.version}
    values["PRETTY_NAME"] = f"{values['NAME']} {release.version}"
    text = "".join(f'{key}="{value}"\n' for key, value in sorted(values.items()))
    (tree / "usr/lib/os-release").write_text(text)
    for name, content in (("etc/machine-id", ""), ("etc/fstab", ""), ("etc/motd", ""), ("etc/subuid", ""),
                          ("etc/subgid", ""), ("etc/issue", f"{values['PRETTY_NAME']} \\l\n\n"),
                          ("etc/issue.net", f"{values['NAME']}\n"),
                          ("etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")):
        (tree / name).write_text(content)
        os.chmod(tree / name, 0o644 if name != "etc/machine-id" else 0o444)
    for name, target in (("etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf"),
                         ("etc/mtab", "../proc/self/mounts")):
        (tree / name).unlink(missing_ok=True)
        (tree / name).symlink_to(target)
    listed = [{key: entry[key] for key in ("name", "version", "architecture", "source", "source_version")}
              for entry in json.loads((packages / "packages.json").read_text())["packages"] if entry["on_node"]]
    share = tree / "usr/share/proa"
    share.mkdir(parents=True, exist_ok=True)
    (share / "packages.json").write_text(json.dumps(listed, indent=1) + "\n")


def _services(tree, enable, mask):
    """Applies presets now: on a node nothing decides about units at run time but the operator."""
    preset = tree / PRESET
    preset.write_text("# Made by proa-image from [services] enable. Ours are enabled by their [Install] sections.\n"
                      + "".join(f"enable {name}\n" for name in [*enable, "proa*"]) + "disable *\n")
    command.run(["systemctl", f"--root={tree.resolve()}", "preset-all"])
    for name in enable:
        if "@" not in name and not (tree / "usr/lib/systemd/system" / name).exists():
            raise Failure(f"[services] enable: the tree has no unit {name}")
    for name in mask:
        path = tree / "etc/systemd/system" / name
        path.unlink(missing_ok=True)
        path.symlink_to("/dev/null")


def _accounts(tree, users):
    """Makes the system users of sysusers.d, and gives each the number of the definition: numbers own files in /var, and
    must be the same in every release."""
    command.run(["systemd-sysusers", f"--root={tree.resolve()}"])
    shadow = tree / "etc/shadow"
    lines = [line.split(":") for line in shadow.read_text().splitlines()]
    shadow.write_text("".join(":".join([*fields[:2], "", *fields[3:]]) + "\n" for fields in lines))
    for kind, where in (("passwd", 2), ("group", 2)):
        path = tree / "etc" / kind
        entries = [line.split(":") for line in path.read_text().splitlines()]
        moved = {}
        for entry in entries:
            number = int(entry[where])
            if 100 <= number < 1000:
                if entry[0] not in users:
                    raise Failure(f"[users]: {kind} has {entry[0]!r} with number {number}; the definition must fix it")
                moved[number] = users[entry[0]]
                entry[where] = str(users[entry[0]])
        if kind == "passwd":
            groups = _numbers(tree / "etc/group")
            for entry in entries:
                name = groups.get(int(entry[3]))
                if name in users:
                    entry[3] = str(users[name])
        _renumber(tree, moved, kind)
        entries.sort(key=lambda entry: int(entry[2]))
        path.write_text("".join(":".join(entry) + "\n" for entry in entries))
    for name in ("passwd-", "group-", "shadow-", "gshadow-", ".pwd.lock"):
        (tree / "etc" / name).unlink(missing_ok=True)
    for name in ("shadow", "gshadow"):
        path = tree / "etc" / name
        path.write_text("".join(sorted(path.read_text().splitlines(keepends=True))))


def _numbers(group):
    return {int(line.split(":")[2]): line.split(":")[0] for line in group.read_text().splitlines()}


def _renumber(tree, moved, kind):
    moved = {old: new for old, new in moved.items() if old != new}
    if not moved:
        return
    for folder, folders, files in os.walk(tree):
        for name in folders + files:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            owner = info.st_uid if kind == "passwd" else info.st_gid
            if owner in moved:
                uid, gid = (moved[owner], -1) if kind == "passwd" else (-1, moved[owner])
                os.lchown(path, uid, gid)
                if not stat.S_ISLNK(info.st_mode):
                    os.chmod(path, stat.S_IMODE(info.st_mode))  # chown clears set-id bits


def _feed(tree, feed):
    """The feed's place in update.conf, and the TUF root that the node trusts first."""
    config = tree / "usr/lib/proa/update.conf"
    config.parent.mkdir(parents=True, exist_ok=True)
    text = config.read_text() if config.exists() else "# Defaults; /etc/proa/update.conf overrides. See update.conf(5).\n"
    config.write_text(set_keys(text, "feed", {"url": feed.url, "channel": feed.channel}))
    if feed.root.exists():
        trust = tree / "usr/lib/proa/trust"
        trust.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(feed.root, trust / "root.json")


def set_keys(text, group, values):
    """The text of a GKeyFile with keys of one group set: in their place if they have one, otherwise at the group's end."""
    lines, out, left, here = text.splitlines(), [], dict(values), False
    for line in [*lines, None]:
        if line is None or line.startswith("["):
            if here:
                out.extend(f"{key}={left.pop(key)}" for key in list(left))
            here = line is not None and line.strip() == f"[{group}]"
        elif here and (key := line.partition("=")[0].strip()) in values:
            line = f"{key}={values[key]}"
            left.pop(key, None)
        if line is not None:
            out.append(line)
    if left:
        out.extend([f"[{group}]", *(f"{key}={value}" for key, value in left.items())])
    return "\n".join(out) + "\n"


def _links_into_var(tree):
    for name, (target, mode) in IN_VAR.items():
        path = tree / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.symlink_to(target)
        real = tree / target.removeprefix("../")
        real.mkdir(parents=True, exist_ok=True)
        os.chmod(real, mode)
    for name in ("efi", "boot", "proc", "sys", "dev", "run", "tmp", "media"):
        (tree / name).mkdir(exist_ok=True)
        os.chmod(tree / name, 0o1777 if name == "tmp" else 0o755)


def _empty_var(tree):
    """/var is an empty file system at the first boot. What packages put there is made again by systemd-tmpfiles."""
    names = {kind: {line.split(":")[2]: line.split(":")[0] for line in (tree / "etc" / kind).read_text().splitlines()}
             for kind in ("passwd", "group")}
    lines = ["# Made by proa-image: what the packages of this release put into /var."]
    factory = tree / "usr/share/factory"
    for folder, folders, files in os.walk(tree / "var"):
        folders.sort()
        for name in sorted(folders + files):
            path = pathlib.Path(folder, name)
            where, info = "/" + str(path.relative_to(tree)), path.lstat()
            owner = f"{names['passwd'][str(info.st_uid)]} {names['group'][str(info.st_gid)]}"
            if path.is_symlink():
                lines.append(f"L {where} - - - - {os.readlink(path)}")
            elif path.is_dir():
                lines.append(f"d {where} {stat.S_IMODE(info.st_mode):04o} {owner} - -")
            else:
                copy = factory / where.lstrip("/")
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
                lines.append(f"C {where} {stat.S_IMODE(info.st_mode):04o} {owner} - /usr/share/factory{where}")
    (tree / "usr/lib/tmpfiles.d/proa-var.conf").write_text("\n".join(lines) + "\n")
    shutil.rmtree(tree / "var")
    (tree / "var").mkdir()
    os.chmod(tree / "var", 0o755)


def _last(tree):
    """What the tools of this build left behind; and the mark that /etc is as new as /usr."""
    for pattern in ("var/*", "etc/.pwd.lock", "dev/*", "run/*", "proc/*", "sys/*", "tmp/*"):
        for path in paths.matching(tree, pattern):
            paths.remove(path)
    (tree / "etc/.updated").write_text("")
