# SPDX-License-Identifier: Apache-2.0
"""table: reads a TOML file key by key, so that every mistake is named with its file and key."""

import pathlib
import tomllib

from .failure import Failure

MAX_BYTES = 1 << 20


class Table:
    """One table of a TOML file. Ask for each key, then call finish(): a key nobody asked for is an error."""

    def __init__(self, file, path, values):
        self.file = file
        self.path = path
        self.values = values
        self.asked = set()

    @classmethod
    def load(cls, file):
        """The top table of a file."""
        file = pathlib.Path(file)
        try:
            data = file.read_bytes()
        except OSError as error:
            raise Failure(f"{file}: {error.strerror.lower()}") from error
        if len(data) > MAX_BYTES:
            raise Failure(f"{file}: larger than {MAX_BYTES} bytes")
        try:
            return cls(file, "", tomllib.loads(data.decode()))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Failure(f"{file}: {error}") from error

    def name(self, key):
        """How an error names a key: "[disk] slot_mib"."""
        return f"[{self.path}] {key}" if self.path else key

    def fail(self, key, what):
        """Raises the Failure for a key."""
        raise Failure(f"{self.file}: {self.name(key)}: {what}")

    def has(self, key):
        """Whether the file has the key."""
        return key in self.values

    def _get(self, key, kind, words, default):
        self.asked.add(key)
        if key not in self.values:
            if default is _REQUIRED:
                self.fail(key, f"missing; expected {words}")
            return default
        value = self.values[key]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.fail(key, f"expected {words}, found {_words_of(value)}")
        return value

    def string(self, key, default=...):
        """A string that is not empty."""
        value = self._get(key, str, "a string", _REQUIRED if default is ... else default)
        if value == "":
            self.fail(key, "must not be empty")
        return value

    def integer(self, key, low, high, default=...):
        """An integer from low to high."""
        value = self._get(key, int, "an integer", _REQUIRED if default is ... else default)
        if value is not None and not low <= value <= high:
            self.fail(key, f"must be from {low} to {high}, found {value}")
        return value

    def boolean(self, key, default=...):
        """true or false."""
        return self._get(key, bool, "true or false", _REQUIRED if default is ... else default)

    def strings(self, key, default=...):
        """An array of strings, each once."""
        value = self._get(key, list, "an array of strings", _REQUIRED if default is ... else default)
        for item in value:
            if not isinstance(item, str) or item == "":
                self.fail(key, f"expected an array of strings, found {_words_of(item)} in it")
        doubles = sorted({item for item in value if value.count(item) > 1})
        if doubles:
            self.fail(key, f"names {doubles[0]!r} twice")
        return list(value)

    def table(self, key, default=...):
        """A table below this one."""
        value = self._get(key, dict, "a table", _REQUIRED if default is ... else default)
        return Table(self.file, f"{self.path}.{key}" if self.path else key, value)

    def keys(self):
        """The keys of a table whose keys are names of the user's own; each counts as asked for."""
        self.asked.update(self.values)
        return list(self.values)

    def finish(self):
        """Ends the reading: what was not asked for is unknown."""
        for key in self.values:
            if key not in self.asked:
                known = ", ".join(sorted(self.asked))
                self.fail(key, f"unknown key (known here: {known})")


_REQUIRED = object()


def _words_of(value):
    kinds = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "an array", dict: "a table"}
    return kinds.get(type(value), type(value).__name__)
