# SPDX-License-Identifier: Apache-2.0
"""proa-image: from a TOML definition to a verified root, a UKI, a disk and the release's papers. One module a noun."""
