# SPDX-License-Identifier: Apache-2.0
"""cli: the command line of proa-image. Results on standard output, progress and mistakes on standard error."""

import argparse
import json
import os
import pathlib
import sys

from . import definition as definitions, release as papers
from .build import Builder
from .failure import Failure

DEFAULT_DEFINITION = "images/node/node.toml"
VERSION = "0.1.0"
EXIT_FAILED, EXIT_USAGE = 1, 2


def main(arguments):
    """Runs one verb and returns the exit status."""
    top = pathlib.Path(os.environ.get("PROA_TOP") or pathlib.Path(__file__).resolve().parents[3])
    options = parser().parse_args(arguments)
    os.umask(0o022)
    try:
        return options.run(options, top)
    except Failure as failure:
        print(f"proa-image: {failure}", file=sys.stderr)
        return EXIT_FAILED
    except OSError as error:  # a full disk, a file that may not be read
        print(f"proa-image: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("proa-image: interrupted; what was made so far is not used", file=sys.stderr)
        return EXIT_FAILED


def parser():
    """The parser of the command line."""
    made = argparse.ArgumentParser(prog="proa-image", description="Makes the releases of the node OS. Runs in the builder root.")
    made.add_argument("--version", action="version", version=f"proa-image {VERSION}")
    verbs = made.add_subparsers(required=True, metavar="VERB")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--definition", metavar="FILE", help=f"definition to build from (default: {DEFAULT_DEFINITION})")
    shared.add_argument("--json", action="store_true", help="print JSON and nothing else on standard output")

    build = verbs.add_parser("build", parents=[shared], help="make releases (default: all of the definition's own)")
    build.add_argument("releases", metavar="RELEASE", nargs="*")
    build.add_argument("--meson-dir", metavar="DIR", help="where our programs were compiled (default: build/meson)")
    build.add_argument("--check-reproducible", action="store_true",
                       help="make each release twice from nothing and compare; keep neither")
    build.add_argument("--no-payload", action="store_true", help="leave the full payload out: quicker, but nothing to publish")
    build.set_defaults(run=run_build)

    listing = verbs.add_parser("list", parents=[shared], help="list the definition's releases and which are made")
    listing.set_defaults(run=run_list)

    verify = verbs.add_parser("verify", parents=[shared], help="check a made release against its release.json")
    verify.add_argument("release", metavar="RELEASE")
    verify.set_defaults(run=run_verify)
    return made


def load(options, top):
    """The definition that the options name."""
    return definitions.load(options.definition or top / DEFAULT_DEFINITION, top)


def run_build(options, top):
    """proa-image build"""
    definition = load(options, top)
    releases = [definition.release(name) for name in options.releases or definition.own_releases]
    builder = Builder(definition, top, options.meson_dir or top / "build/meson", not options.no_payload)
    if options.check_reproducible:
        results = {release.name: builder.check_reproducible(release) for release in releases}
        if not options.json:
            for name, result in results.items():
                print(f"{name}: reproducible, root hash {result['root_hash']}")
    else:
        builder.prepare(releases)
        results = {release.name: builder.build(release) for release in releases}
        if not options.json:
            print_summaries(results)
    if options.json:
        print(json.dumps(results, indent=1))
    return 0


def print_summaries(results):
    """A table for a person."""
    print(f"{'release':<18}{'version':<10}{'root':>8}{'UKI':>8}{'payload':>9}{'packages':>10}  root hash")
    for name, result in results.items():
        full = result["full_payload_bytes"]
        payload = "-" if full is None else f"{full / 1e6:.1f}"
        print(f"{name:<18}{result['version']:<10}{result['root_bytes'] / 1e6:>8.1f}{result['uki_bytes'] / 1e6:>8.1f}"
              f"{payload:>9}{result['packages']:>10}  {result['root_hash']}")
    print("(sizes in MB; payload is what a node downloads for a full update, the UKI included)")


def run_list(options, top):
    """proa-image list"""
    definition = load(options, top)
    results = {}
    for name, release in definition.releases.items():
        folder = top / "build/images" / name
        made = papers.read(folder) if (folder / "release.json").exists() else None
        results[name] = {"version": release.version, "suites": release.suites, "from": release.parent,
                         "made": made is not None, "root_hash": made["root"]["hash"] if made else None}
    if options.json:
        print(json.dumps(results, indent=1))
        return 0
    for name, result in results.items():
        of = f"from {result['from']}" if result["from"] else " ".join(result["suites"])
        print(f"{name:<18}{result['version']:<10}{of:<50}{result['root_hash'] or 'not made'}")
    return 0


def run_verify(options, top):
    """proa-image verify"""
    definition = load(options, top)
    release = definition.release(options.release)
    manifest = papers.verify(top / "build/images" / release.name)
    if options.json:
        print(json.dumps({"release": release.name, "version": manifest["version"], "root_hash": manifest["root"]["hash"]}))
    else:
        print(f"{release.name}: root.img, root.verity and UKI are those of release.json, root hash {manifest['root']['hash']}")
    return 0
