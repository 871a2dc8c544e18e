/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happened once after deaths, or while somebody kept a lock, step by step.
 */
#ifndef SELFTESTS_CRASH_TAKEOVERS_H
#define SELFTESTS_CRASH_TAKEOVERS_H

#define TAKEOVERS 12

struct takeover {
	const char *name;
	int (*play)(void);
};

extern const struct takeover takeovers[TAKEOVERS];

/* In processes of its own. 0: it is as the name says. */
int takeover_play(const struct takeover *takeover);

#endif
