/* SPDX-License-Identifier: GPL-2.0-only */
/* What every verb of hmemctl is given, and what it answers with. */
#ifndef HMEMCTL_H
#define HMEMCTL_H

#include <stdbool.h>

#include <hmem/hmem.h>

#define HMEM_CONTROL "/dev/hmem/control"

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_UNSUPPORTED = 2,	/* this machine, kernel or build cannot do it */
	EXIT_USAGE = 129,
};

/**
 * struct session - one run of the command
 * @hmem: library context
 * @verb: what was asked for, for messages
 * @human: -u: sizes, owners and modes as people write them
 * @verbose: -v: say each step on stderr
 */
struct session {
	struct hmem_ctx *hmem;
	const char *verb;
	bool human;
	bool verbose;
};

/* Each verb gets its own arguments, argv[0] being its name; returns enum exit_code. */
int verb_list(struct session *s, int argc, char **argv);
int verb_info(struct session *s, int argc, char **argv);
int verb_attach_pool(struct session *s, int argc, char **argv);
int verb_detach_pool(struct session *s, int argc, char **argv);
int verb_drain_pool(struct session *s, int argc, char **argv);
int verb_create_region(struct session *s, int argc, char **argv);
int verb_resize_region(struct session *s, int argc, char **argv);
int verb_destroy_region(struct session *s, int argc, char **argv);
int verb_set_policy(struct session *s, int argc, char **argv);
int verb_migrate(struct session *s, int argc, char **argv);
int verb_list_layers(struct session *s, int argc, char **argv);
int verb_probe_layer(struct session *s, int argc, char **argv);
int verb_list_spaces(struct session *s, int argc, char **argv);
int verb_run(struct session *s, int argc, char **argv);
int verb_list_poison(struct session *s, int argc, char **argv);
int verb_report_poison(struct session *s, int argc, char **argv);
int verb_clear_poison(struct session *s, int argc, char **argv);
int verb_keep_range(struct session *s, int argc, char **argv);
int verb_release_range(struct session *s, int argc, char **argv);
int verb_heat(struct session *s, int argc, char **argv);
int verb_monitor(struct session *s, int argc, char **argv);
int verb_create_shelf(struct session *s, int argc, char **argv);
int verb_grow_shelf(struct session *s, int argc, char **argv);
int verb_destroy_shelf(struct session *s, int argc, char **argv);
int verb_list_shelves(struct session *s, int argc, char **argv);
int verb_dump_shelf(struct session *s, int argc, char **argv);
int verb_check_shelf(struct session *s, int argc, char **argv);
int verb_export_shelf(struct session *s, int argc, char **argv);
int verb_import_shelf(struct session *s, int argc, char **argv);
int verb_list_objects(struct session *s, int argc, char **argv);
int verb_put_object(struct session *s, int argc, char **argv);
int verb_get_object(struct session *s, int argc, char **argv);
int verb_delete_object(struct session *s, int argc, char **argv);
int verb_rename_object(struct session *s, int argc, char **argv);
int verb_doctor(struct session *s, int argc, char **argv);

#endif
