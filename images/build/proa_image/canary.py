# SPDX-License-Identifier: Apache-2.0
"""canary: a container image that lies in the tree, so that a node can prove that it runs containers with no network."""

import hashlib
import io
import json
import tarfile

from .programs import CANARY

NAME = "proa/canary:1"
IMAGE = "usr/share/proa/images/canary.tar"


def make(tree):
    """Makes the image archive (OCI image layout in a tar) of the program at CANARY, and takes the program out."""
    program = tree / CANARY
    layer = _tar({"canary": (program.read_bytes(), 0o755)})
    program.unlink()
    blobs, to = {}, tree / IMAGE
    config = _blob(blobs, json.dumps({
        "architecture": "amd64", "os": "linux", "created": "1970-01-01T00:00:00Z",
        "config": {"Entrypoint": ["/canary"], "WorkingDir": "/", "User": "65534:65534"},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        "history": [{"created": "1970-01-01T00:00:00Z", "comment": "proa canary"}],
    }).encode(), "application/vnd.oci.image.config.v1+json")
    manifest = _blob(blobs, json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
        "layers": [_blob(blobs, layer, "application/vnd.oci.image.layer.v1.tar")],
    }).encode(), "application/vnd.oci.image.manifest.v1+json")
    manifest["annotations"] = {"io.containerd.image.name": NAME, "org.opencontainers.image.ref.name": NAME.split(":")[1]}
    index = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                        "manifests": [manifest]}).encode()
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(_tar({"oci-layout": (b'{"imageLayoutVersion":"1.0.0"}', 0o644), "index.json": (index, 0o644),
                         **{name: (data, 0o644) for name, data in blobs.items()}}))


def _blob(blobs, data, media_type):
    name = hashlib.sha256(data).hexdigest()
    blobs[f"blobs/sha256/{name}"] = data
    return {"mediaType": media_type, "digest": f"sha256:{name}", "size": len(data)}


def _tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, (data, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()
