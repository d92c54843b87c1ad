# SPDX-License-Identifier: Apache-2.0
"""Definitions: what is read, and that each mistake is named with file and key."""

import pathlib
import re
import sys
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import support  # noqa: E402
from proa_image import definition  # noqa: E402
from proa_image.failure import Failure  # noqa: E402

NODE = support.TOP / "images/node/node.toml"


def toml(value):
    """A value as TOML; enough of it for definitions."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, str)):
        return repr(value) if isinstance(value, int) else '"' + value.replace("\\", "\\\\") + '"'
    return "[" + ", ".join(toml(item) for item in value) + "]"


def document(values):
    """A definition as text, from the dict that tomllib would make of it."""
    lines = [f"{key} = {toml(value)}" for key, value in values.items() if not isinstance(value, dict)]
    for name, table in values.items():
        if not isinstance(table, dict):
            continue
        lines.append(f"[{name}]")
        lines += [f'"{key}" = {toml(value)}' for key, value in table.items() if not isinstance(value, dict)]
        for key, value in table.items():
            if isinstance(value, dict):
                lines.append(f"[{name}.{key}]")
                lines += [f"{one} = {toml(other)}" for one, other in value.items()]
    return "\n".join(lines) + "\n"


class Definitions(support.Case):
    def setUp(self):
        super().setUp()
        self.values = tomllib.loads(NODE.read_text())

    def load(self):
        return definition.load(self.file("node.toml", document(self.values)), support.TOP)

    def refused(self, *words):
        with self.assertRaises(Failure) as caught:
            self.load()
        for word in ("node.toml", *words):
            self.assertIn(word, str(caught.exception))
        self.assertEqual(len(str(caught.exception).splitlines()), 1)

    def test_reads_the_definition_of_the_node(self):
        made = definition.load(NODE, support.TOP)
        self.assertEqual(made.own_releases, ["base", "security"])
        self.assertEqual(made.releases["base"].suites, ["trixie"])
        self.assertEqual(made.os_release["ID"], "proa")

    def test_the_copy_that_these_tests_change_is_sound(self):
        self.assertEqual(self.load().own_releases, ["base", "security"])

    def test_names_an_unknown_key(self):
        self.values["disk"]["slot_gib"] = 2
        self.refused("[disk] slot_gib", "unknown key")

    def test_names_an_unknown_table(self):
        self.values["disks"] = {"a": 1}
        self.refused("disks", "unknown key")

    def test_names_a_missing_key(self):
        del self.values["root"]["salt"]
        self.refused("[root] salt", "missing")

    def test_names_a_key_of_the_wrong_type(self):
        self.values["disk"]["slot_mib"] = "2048"
        self.refused("[disk] slot_mib", "expected an integer, found a string")

    def test_a_boolean_is_no_integer(self):
        self.values["payload"]["compression_level"] = True
        self.refused("[payload] compression_level", "found a boolean")

    def test_names_a_number_out_of_range(self):
        self.values["payload"]["compression_level"] = 23
        self.refused("[payload] compression_level", "from 1 to 22")

    def test_names_a_string_among_strings_that_is_none(self):
        self.values["packages"]["install"].append(["bash"])
        self.refused("[packages] install", "array")

    def test_names_what_is_listed_twice(self):
        self.values["packages"]["install"].append("chrony")
        self.refused("[packages] install", "'chrony' twice")

    def test_names_a_bad_salt(self):
        self.values["root"]["salt"] = "00ff"
        self.refused("[root] salt", "64 hexadecimal digits")

    def test_names_a_bad_version(self):
        self.values["releases"]["base"]["version"] = "1.0+3"
        self.refused("[releases.base] version")

    def test_names_a_hash_partition_that_is_too_small(self):
        self.values["disk"]["hash_mib"] = 8
        self.refused("[disk] hash_mib", "17 MiB")

    def test_a_release_has_suites_or_a_parent(self):
        self.values["releases"]["base"]["from"] = "security"
        self.refused("[releases.base] suites")

    def test_names_a_parent_that_does_not_exist(self):
        self.values["releases"]["next"] = {"version": "1.1", "from": "nobody"}
        self.refused("next.from", "'nobody'")

    def test_names_a_circle_of_parents(self):
        self.values["releases"]["one"] = {"version": "1.1", "from": "two"}
        self.values["releases"]["two"] = {"version": "1.2", "from": "one"}
        self.refused("circle")

    def test_names_an_overlay_that_does_not_exist(self):
        self.values["releases"]["next"] = {"version": "1.1", "from": "base", "overlay": "nowhere"}
        self.refused("[releases.next] overlay", "nowhere")

    def test_names_what_is_no_toml(self):
        path = self.file("node.toml", "[disk\n")
        with self.assertRaisesRegex(Failure, "node.toml: .*line 1"):
            definition.load(path, support.TOP)

    def test_names_a_file_that_is_not_there(self):
        with self.assertRaisesRegex(Failure, "nothing.toml: no such file"):
            definition.load(self.folder / "nothing.toml", support.TOP)

    def test_refuses_a_file_that_is_too_large(self):
        with self.assertRaisesRegex(Failure, "larger than"):
            definition.load(self.file("node.toml", b"#" * (1 << 20) + b"\n"), support.TOP)


class Derived(support.Case):
    def load(self, text):
        return definition.load(self.file("tests.toml", f'definition = "{NODE}"\n' + text), support.TOP)

    def test_takes_the_rest_from_the_other_file(self):
        made = self.load('[releases.next]\nversion = "1.0.2"\nfrom = "security"\n')
        self.assertEqual(made.own_releases, ["next"])
        self.assertEqual(made.origin(made.releases["next"]).name, "security")
        self.assertEqual(made.folder, NODE.parent)

    def test_overlays_lie_beside_the_file_that_names_them(self):
        self.file("over/etc/x")
        made = self.load('[releases.next]\nversion = "1.0.2"\nfrom = "security"\noverlay = "over"\n')
        self.assertEqual(made.releases["next"].overlay, self.folder / "over")

    def test_a_name_that_is_taken_is_refused(self):
        with self.assertRaisesRegex(Failure, "base"):
            self.load('[releases.base]\nversion = "1.0.2"\nfrom = "security"\n')

    def test_nothing_but_releases_may_be_in_it(self):
        with self.assertRaisesRegex(Failure, "tests.toml: disk: unknown key"):
            self.load('[releases.next]\nversion = "1.0.2"\nfrom = "security"\n[disk]\nesp_mib = 64\n')

    def test_an_unknown_release_is_answered_with_those_there_are(self):
        made = self.load('[releases.next]\nversion = "1.0.2"\nfrom = "security"\n')
        with self.assertRaisesRegex(Failure, "no release 'nxt'.*base, security, next"):
            made.release("nxt")


class Hangs(support.Case):
    """Who ends a boot that hangs, read as systemd would read it."""

    INITRD = support.TOP / "images/node/initrd/usr/lib/systemd/system"

    def seconds(self, folder, name, key):
        """The time span in the drop-in of that unit: minutes or seconds."""
        for line in (folder / f"{name}.d/10-proa.conf").read_text().splitlines():
            if line.startswith(f"{key}="):
                number, unit = re.fullmatch(r"(\d+)(min|s)", line.split("=")[1]).groups()
                return int(number) * (60 if unit == "min" else 1)
        self.fail(f"{name} has no {key}=")

    def test_a_check_of_a_large_file_system_comes_to_its_end(self):
        """One that a reset broke off would be begun again for ever, and neither release would ever run."""
        check = self.seconds(self.INITRD, "systemd-fsck@.service", "TimeoutStartSec")
        self.assertGreaterEqual(check, 30 * 60)
        # Behind it: mounting the state partition (90 s), the overlay of /etc (60 s), and as long for killing either.
        self.assertGreaterEqual(self.seconds(self.INITRD, "initrd-fs.target", "JobTimeoutSec"), check + 2 * (90 + 60))

    def test_what_hangs_before_it_ends_soon(self):
        self.assertLessEqual(self.seconds(self.INITRD, "initrd-root-fs.target", "JobTimeoutSec"), 5 * 60)

    def test_each_of_them_reboots(self):
        for name in ("initrd-root-fs.target", "initrd-fs.target", "initrd-switch-root.target"):
            self.assertIn("JobTimeoutAction=reboot-force\n", (self.INITRD / f"{name}.d/10-proa.conf").read_text())


if __name__ == "__main__":
    support.unittest.main()
