# SPDX-License-Identifier: Apache-2.0
"""sbom: the packages of a release as an SPDX 2.3 document."""

import datetime
import json
import re
import urllib.parse

CREATOR = "Tool: proa-image"


def write(entries, release, os_id, root_hash, built, to):
    """Writes the document. Its name and time are functions of the release, so that equal releases have equal papers."""
    created = datetime.datetime.fromtimestamp(built, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    image = {
        "SPDXID": "SPDXRef-Image", "name": os_id, "versionInfo": release.version, "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION", "primaryPackagePurpose": "OPERATING-SYSTEM",
        "comment": f"dm-verity root hash {root_hash}",
    }
    packages = [_package(entry) for entry in entries if entry["on_node"]]
    relations = [_relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-Image")]
    relations += [_relation("SPDXRef-Image", "CONTAINS", package["SPDXID"]) for package in packages]
    to.write_text(json.dumps({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{os_id}-{release.version}", "documentNamespace": f"https://proa.invalid/spdx/{release.version}/{root_hash}",
        "creationInfo": {"created": created, "creators": [CREATOR]},
        "packages": [image, *packages], "relationships": relations,
    }, indent=1) + "\n")


def _package(entry):
    def quote(text):
        return urllib.parse.quote(text, safe="~.-_+")
    purl = (f"pkg:deb/debian/{quote(entry['name'])}@{urllib.parse.quote(entry['version'], safe='~.-_')}"
            f"?arch={entry['architecture']}&distro=debian-13&upstream={quote(entry['source'])}"
            f"%40{urllib.parse.quote(entry['source_version'], safe='~.-_')}")
    return {
        "SPDXID": "SPDXRef-Package-" + re.sub(r"[^A-Za-z0-9.-]", "-", f"{entry['name']}-{entry['architecture']}"),
        "name": entry["name"], "versionInfo": entry["version"], "supplier": "Organization: Debian",
        "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
        "homepage": entry["homepage"] or "NOASSERTION",
        "checksums": [{"algorithm": "SHA256", "checksumValue": entry["sha256"]}],
        "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION",
        "sourceInfo": f"built from the Debian source package {entry['source']} {entry['source_version']}",
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}],
    }


def _relation(one, kind, other):
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
