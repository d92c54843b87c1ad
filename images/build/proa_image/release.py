# SPDX-License-Identifier: Apache-2.0
"""release: the papers of a release: release.json and packages.lock (docs/formats.md)."""

import json
import pathlib

from . import digest, root
from .failure import Failure

LOCK_HEADER = ("# What went into this release: package, version, architecture, SHA-256 of the .deb, and whether its files are on\n"
               "# the node (node) or were only needed to make it (build).\n")


def write_lock(entries, to):
    """Writes packages.lock."""
    to.write_text(LOCK_HEADER + "".join(
        f"{entry['name']} {entry['version']} {entry['architecture']} {entry['sha256']} "
        f"{'node' if entry['on_node'] else 'build'}\n" for entry in entries))


def write_manifest(folder, definition, release, built, tree, packages, root_hash):
    """Writes release.json for the files of `folder` and returns it as a value."""
    manifest = {
        "format": "proa-manifest", "format_version": 1, "version": release.version, "architecture": "x86-64",
        "built": built, "tree": tree, "packages": packages,
        "root": {"hash": root_hash, "salt": definition.root_salt, "size": (folder / "root.img").stat().st_size,
                 "uuid": definition.root_uuid},
        "uki": _file(folder / "uki.efi"),
        "sbom": _file(folder / "sbom.spdx.json"),
    }
    (folder / "release.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return manifest


def _file(path):
    return {"size": path.stat().st_size, "sha256": digest.of_file(path)}


def read(folder):
    """release.json of a release directory."""
    try:
        return json.loads(pathlib.Path(folder, "release.json").read_text())
    except FileNotFoundError as error:
        raise Failure(f"{folder}: no release.json; proa-image build makes it") from error
    except ValueError as error:
        raise Failure(f"{folder}/release.json: {error}") from error


def verify(folder):
    """A Failure unless the files of a release directory are those that its release.json names."""
    manifest = read(folder)
    image, tree = folder / "root.img", folder / "root.verity"
    for path in (image, tree):
        if not path.exists():
            raise Failure(f"{path}: missing")
    if image.stat().st_size != manifest["root"]["size"]:
        raise Failure(f"{image}: {image.stat().st_size} bytes, release.json says {manifest['root']['size']}")
    root.check(image, tree, manifest["root"]["hash"])
    for name, file in (("uki", "uki.efi"), ("sbom", "sbom.spdx.json")):
        found = _file(folder / file)
        if found != manifest[name]:
            raise Failure(f"{folder / file}: size or SHA-256 differs from release.json")
    return manifest
