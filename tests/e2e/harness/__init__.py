# SPDX-License-Identifier: Apache-2.0
"""harness: a guest in QEMU, a feed behind nginx, and releases to serve; one module a noun."""
