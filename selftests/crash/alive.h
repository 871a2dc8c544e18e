/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SELFTESTS_CRASH_ALIVE_H
#define SELFTESTS_CRASH_ALIVE_H

/* Each is a scene (scene_play()). 0: it is as takeovers.c says. */
int play_kept(void);
int play_idle(void);
int play_far(void);
int play_handle(void);

#endif
