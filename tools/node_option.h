/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HMEMCTL_NODE_OPTION_H
#define HMEMCTL_NODE_OPTION_H

#include <stdbool.h>

/** node_parse - the number of a NUMA node, of which there need be none */
bool node_parse(const char *text, int *node);

#endif
