#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The linters, each as a function that returns the lines it complains of; tests/run.py runs them as group lint.

usage: tests/lint.py [NAME...]     names: see CHECKS at the end

Slow linters remember by content what they found clean (build/lint), so that a second run takes seconds.
"""

import concurrent.futures
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parents[1]
CLEAN = TOP / "build/lint"
MESON_DIR = TOP / "build/meson-asan"
MAX_LINES = 800
GENERATED = re.compile(r"(^|/)(\.git|build|__pycache__|LICENSES?)(/|$)")

# Which folder may include which (docs/architecture.md, "Folders"). A folder may always include itself.
LAYERS = {
    "base": set(),
    "verity": {"base"},
    "boot": {"base", "verity"},
    "updater/trust": {"base"},
    "updater/release": {"base", "updater/trust"},
    "updater/fetch": {"base"},
    "updater/payload": {"base", "verity/leaves.h", "updater/fetch/stream.h"},
    "updater/slot": {"base", "verity"},
    "updater": {"base", "verity", "updater", "boot/entry.h", "boot/esp.h", "boot/uki.h"},
    "agent": {"base"},
    "images": {"base", "verity", "updater/trust", "updater/release/manifest.h", "images", *(f"updater/payload/{name}.h" for name in (
        "format", "blocks-format", "delta-format", "delta-map", "delta-module", "delta-ops", "repack", "steps", "uki-format",
        "wire"))},
}


def files(*suffixes, below=""):
    """Every source file of the tree (not of build/) whose name ends with one of the suffixes, relative to the top."""
    found = []
    for folder, names, leaves in os.walk(TOP / below):
        names[:] = [name for name in names if not GENERATED.search(name)]
        for leaf in leaves:
            if leaf.endswith(suffixes):
                found.append(str((pathlib.Path(folder) / leaf).relative_to(TOP)))
    return sorted(found)


def scripts(interpreter):
    """Files without a telling suffix whose first line names the interpreter."""
    found = []
    for path in files(""):
        if "." in pathlib.Path(path).name.lstrip("."):
            continue
        with open(TOP / path, "rb") as file:
            first = file.readline(200)
        if first.startswith(b"#!") and re.search(rf"\b{interpreter}\d?\b", first.decode(errors="replace")):
            found.append(path)
    return found


def c_sources():
    return files(".c", ".h")


def run(command, paths=()):
    """Runs a linter over paths; its output as lines if it failed."""
    try:
        done = subprocess.run([*command, *paths], cwd=TOP, text=True, errors="replace", stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    except FileNotFoundError:
        return [f"{command[0]} is not installed"]
    return (done.stdout.splitlines() or [f"{command[0]} failed"]) if done.returncode else []


def digest(*parts):
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part if isinstance(part, bytes) else str(part).encode())
        whole.update(b"\0")
    return whole.hexdigest()


def content_key(path, *extra):
    """Of a C file and every header it includes of ours, directly or not."""
    seen, todo = {}, [path]
    while todo:
        current = todo.pop()
        if current in seen or not (TOP / current).is_file():
            continue
        seen[current] = (TOP / current).read_bytes()
        todo += re.findall(r'^\s*#\s*include\s+"([^"]+)"', seen[current].decode(errors="replace"), re.M)
    return digest(*extra, *(piece for name in sorted(seen) for piece in (name, seen[name])))


def remembering(name, paths, check, *extra):
    """check(path) -> complaints, for the paths not yet known to be clean, on all processors."""
    CLEAN.mkdir(parents=True, exist_ok=True)
    todo = []
    for path in paths:
        mark = CLEAN / f"{name}-{content_key(path, *extra)}"
        if not mark.exists():
            todo.append((path, mark))
    complaints = []

    def one(item):
        found = check(item[0])
        if not found:
            item[1].touch()
        return found

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for found in pool.map(one, todo):
            complaints += found
    return complaints


def clang_format():
    """C code is formatted by .clang-format."""
    lines = run(["clang-format", "--dry-run", "-Werror"], c_sources())
    bad = sorted({line.split(":")[0] for line in lines if "-Wclang-format-violations" in line})
    return [f"{path}: mend it with ./dev shell clang-format -i {path}" for path in bad] or lines


def cppcheck():
    """cppcheck finds nothing."""
    options = ["cppcheck", "--quiet", "--std=c17", "--language=c", "--enable=warning,performance,portability", "--inline-suppr",
               "--library=gnu", "--library=posix", "--error-exitcode=1", "-I.", "-D_GNU_SOURCE", "-DG_LOG_DOMAIN=\"proa\"",
               "-DPROA_VERSION=\"0\"", "-DG_GNUC_PRINTF(a,b)=", "-DG_GNUC_WARN_UNUSED_RESULT=", "-DG_GNUC_UNUSED=",
               "--suppress=missingIncludeSystem", "--suppress=unknownMacro", "--suppress=normalCheckLevelMaxBranches",
               "--suppress=internalAstError", "--suppress=syntaxError:tests/*",
               "--template={file}:{line}: {severity}: {message} [{id}]"]
    return remembering("cppcheck", files(".c"), lambda path: run(options, [path]), *options)


def clang_tidy():
    """clang-tidy finds nothing (checks: .clang-tidy)."""
    if not (MESON_DIR / "compile_commands.json").exists():
        setup = run(["meson", "setup", str(MESON_DIR), "-Db_sanitize=address,undefined"])
        if setup:
            return setup[-5:]
    compiled = (MESON_DIR / "compile_commands.json").read_text()
    paths = [path for path in files(".c") if f"/{path}\"" in compiled]
    options = ["clang-tidy", "--quiet", "-p", str(MESON_DIR), "--warnings-as-errors=*", "--extra-arg=-Wno-unknown-warning-option"]

    def check(path):
        lines = run(options, [path])
        return [line.removeprefix("../../") for line in lines if re.match(r"\S+\.[ch]:\d+:\d+: (warning|error):", line)] or lines

    return remembering("clang-tidy", paths, check, *options, (TOP / ".clang-tidy").read_bytes())


def shellcheck():
    """Shell scripts pass shellcheck."""
    paths = sorted({*files(".sh"), *scripts("bash"), *scripts("sh")})
    return run(["shellcheck", "--severity=warning", "--format=gcc", "--exclude=SC2120"], paths)


def pyflakes():
    """Python passes pyflakes."""
    paths = sorted({*files(".py"), *scripts("python")})
    return run([sys.executable, "-m", "pyflakes"], paths)


def man_pages():
    """Manual pages are well-formed, and every installed program has one."""
    pages = [path for path in files("", below="docs/man") if re.search(r"\.[1-8]$", path)]
    complaints = run(["mandoc", "-T", "lint", "-W", "warning"], pages) if pages else []
    have = {pathlib.Path(page).stem for page in pages}
    for path in files("meson.build"):
        for program, options in re.findall(r"executable\('([^']+)'(.*?)\)\s*$", (TOP / path).read_text(), re.S | re.M):
            if "install: true" in options and program not in have:
                complaints.append(f"{path}: {program} has no manual page in docs/man")
    return complaints


def file_length():
    """No file is longer than 800 lines."""
    found = []
    for path in [*files(".c", ".h", ".py", ".sh", ".build", ".toml", ".md"), *scripts("bash"), *scripts("python")]:
        lines = (TOP / path).read_bytes().count(b"\n")
        if lines > MAX_LINES:
            found.append(f"{path}: {lines} lines, at most {MAX_LINES}")
    return found


def licence():
    """Every C file and script names its licence in the first lines."""
    sources = {*c_sources(), *files(".py", ".sh"), *scripts("bash"), *scripts("sh"), *scripts("python")}
    return [f"{path}: no SPDX-License-Identifier in the first three lines" for path in sorted(sources)
            if b"SPDX-License-Identifier: Apache-2.0" not in b"".join((TOP / path).read_bytes().splitlines(True)[:3])]


def layer_of(path):
    """The longest folder of LAYERS that holds the path."""
    holders = [folder for folder in LAYERS if path.startswith(folder + "/")]
    return max(holders, key=len, default=None)


def layers():
    """No include runs against the table of docs/architecture.md."""
    complaints = []
    for path in c_sources():
        layer = layer_of(path)
        if layer is None:
            continue
        allowed = LAYERS[layer] | {layer}
        for number, line in enumerate((TOP / path).read_text(errors="replace").splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if match and not any(match[1] == one or match[1].startswith(one + "/") for one in allowed):
                complaints.append(f"{path}:{number}: {layer}/ may not include {match[1]}")
    return complaints


def reasons():
    """Every reason code is explained in docs/reasons.md, and none that does not exist."""
    words = re.findall(r'\[PROA_REASON_\w+\]\s*=\s*\{\s*"([a-z-]+)"', (TOP / "base/reason.c").read_text())
    page = TOP / "docs/reasons.md"
    if not words:
        return ["base/reason.c: no reason found; has the table's form changed?"]
    if not page.exists():
        return ["docs/reasons.md is missing"]
    told = re.findall(r"^\|\s*`([a-z-]+)`", page.read_text(), re.M)
    return [f"docs/reasons.md: `{word}` is not explained" for word in words if word not in told] + \
           [f"docs/reasons.md: `{word}` is no reason of base/reason.c" for word in told if word not in words]


def rules_shown():
    """Every test that docs/trust-tests.md names exists."""
    page = TOP / "docs/trust-tests.md"
    unit = "\n".join((TOP / path).read_text() for path in files(".c", below="tests/unit"))
    python = {"rules": "conformance/test_rules.py", "tuf": "conformance/test_python_tuf.py", "poll": "conformance/test_poll.py",
              "mirror": "conformance/test_mirror.py", "attacks": "attacks/test_attacks.py"}
    texts = {word: (TOP / "tests" / path).read_text() for word, path in python.items()}
    complaints, names = [], set(re.findall(r"`((?:/[a-z]|[a-z]+:[A-Z])[^`. ]*(?:\.test_\w+)?)`", page.read_text()))
    for name in sorted(names):
        word, _, rest = name.partition(":")
        if rest:
            group, _, test = rest.partition(".")
            body = texts.get(word, "").partition(f"class {group}(")[2].partition("\nclass ")[0]
            found = f"def {test}(" in body
        else:
            folder, _, last = name.rpartition("/")
            found = f'"{name}"' in unit or (f'"{folder}/' in unit and (last == "*" or f'"{last}"' in unit))
        if not found:
            complaints.append(f"docs/trust-tests.md: there is no test {name}")
    return complaints if len(names) > 100 else [f"docs/trust-tests.md: only {len(names)} tests found; has its form changed?"]


CHECKS = [clang_format, layers, reasons, rules_shown, file_length, licence, pyflakes, shellcheck, man_pages, cppcheck, clang_tidy]


def main():
    names = sys.argv[1:]
    chosen = [check for check in CHECKS if not names or check.__name__ in names]
    if not chosen:
        print(f"lint: no such check (there are: {' '.join(check.__name__ for check in CHECKS)})", file=sys.stderr)
        return 2
    bad = 0
    for check in chosen:
        began = time.monotonic()
        complaints = check()
        print(f"{'FAIL' if complaints else 'ok  '}  {check.__name__}  {time.monotonic() - began:.1f} s")
        for line in complaints:
            print(f"      {line}")
        bad += bool(complaints)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
