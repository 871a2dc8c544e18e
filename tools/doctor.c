// SPDX-License-Identifier: GPL-2.0-only
/*
 * doctor: what stands between this machine and a region, and the command that clears
 * it. It only reads files, so it can examine the files of another machine as well.
 */
#include "doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "machine.h"
#include "options.h"
#include "report.h"

void found(struct examination *e, const char *check, enum finding finding, const char *fix,
	   const char *format, ...)
{
	static const char *const status[] = { "ok", "warn", "fail" };
	struct json_object *o = json_object_new_object();
	char message[512];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	json_text(o, "check", check);
	json_text(o, "status", status[finding]);
	json_text(o, "message", message);
	json_text(o, "fix", fix);
	json_object_array_add(e->findings, o);
	e->warned += finding == FINDING_WARN;
	e->failed += finding == FINDING_FAIL;
}

int verb_doctor(struct session *s, int argc, char **argv)
{
	const char *root = "";
	const struct option_line lines[] = {
		{ OPTION_TEXT, 'r', "root", "DIR",
		  "examine copies of /sys, /proc and /boot below DIR", &root },
		OPTION_HUMAN(s),
		{ .kind = OPTION_END },
	};
	const struct usage usage = { "[--root DIR] [-u]", lines };
	int first, code = options_parse(s, &usage, argc, argv, &first);
	struct examination e = { .s = s };
	size_t n;

	if (code >= 0)
		return code;
	if (first < argc)
		return options_bad(s, &usage, "unexpected argument: %s", argv[first]);

	e.root = root;
	e.config = machine_config(root);
	e.findings = json_object_new_array();
	examine_kernel(&e);
	examine_module(&e);
	examine_platform(&e);
	if (e.has_cxl) {
		examine_devices(&e);
		examine_regions(&e);
	}
	free(e.config);

	n = json_object_array_length(e.findings);
	report_count(s, "%zu checks: %u failed, %u warnings", n, e.failed, e.warned);
	if (json_print(s, e.findings))
		return EXIT_FAILED;
	if (!e.has_cxl)
		return EXIT_UNSUPPORTED;
	return e.failed ? EXIT_FAILED : EXIT_DONE;
}
