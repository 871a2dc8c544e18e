/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef LIB_DESCRIPTOR_H
#define LIB_DESCRIPTOR_H

/**
 * hmem_descriptor_keep - a descriptor of a region, where nothing else is written to it
 * @fd: from open(2), or -1
 *
 * In a process that was started with stdout or stderr closed, open(2) gives out their numbers,
 * and what the process prints would be written over the region. Whatever stays open and leads
 * to a region goes through this; threads and other files are not affected.
 *
 * Return: @fd itself, or where it is one of the first three, another, closed on exec, in its
 * place; -1 with errno set when @fd is -1 or none can be had: then @fd has been closed.
 */
int hmem_descriptor_keep(int fd);

#endif
