# SPDX-License-Identifier: GPL-2.0-only
# The version of everything here, for the Makefile and for Kbuild.
HMEM_RELEASE := 0.1.0
