/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All of libhmem. */
#ifndef HMEM_HMEM_H
#define HMEM_HMEM_H

#include <hmem/allocation.h>
#include <hmem/context.h>
#include <hmem/copy.h>
#include <hmem/execution.h>
#include <hmem/export.h>
#include <hmem/interface.h>
#include <hmem/layer.h>
#include <hmem/poison.h>
#include <hmem/pool.h>
#include <hmem/probe.h>
#include <hmem/provider.h>
#include <hmem/region.h>
#include <hmem/shelf.h>
#include <hmem/size.h>
#include <hmem/space.h>
#include <hmem/tier.h>
#include <hmem/tx.h>

#endif
