// SPDX-License-Identifier: GPL-2.0-only
/*
 * What hmemctl monitor shows, of regions that are made up: rates, the share of touches that is
 * served near, and a table that fits.
 */
#include "../../tools/heat_samples.c"
#include "../../tools/heat_text.c"
#include "../../tools/monitor_view.c"

#include "tap.h"

#define GIB ((uint64_t)1 << 30)

static struct monitor_region made_up(const char *name)
{
	struct monitor_region region = { .bytes = 64 * GIB, .policy.mode = HMEM_TIER_AUTO,
					 .problem = "", .stats.near = 16 * GIB,
					 .stats.near_max = 24 * GIB, .nr_cells = 4,
					 .promotions = 1536, .demotions = 0 };

	snprintf(region.name, sizeof(region.name), "%s", name);
	region.histogram.near[30] = 300;
	region.histogram.home[30] = 100;
	for (size_t i = 0; i < 3; i++)
		region.cells[i].heat = (uint16_t)(256 * (20 + 5 * i));
	region.cells[2].near = 255;
	return region;
}

static void shares(void)
{
	struct hmem_tier_histogram h = { 0 };

	TAP_OK(monitor_hit_share(&h) < 0, "nothing is known: no share");
	h.near[0] = 1000;
	h.home[0] = 1000;
	TAP_OK(monitor_hit_share(&h) < 0, "nor of pages of which nothing is known");
	h.near[40] = 1;
	h.home[39] = 2;
	TAP_OK(monitor_hit_share(&h) == 0.5, "two pages touched half as often count as much");
	h.home[39] = 0;
	TAP_OK(monitor_hit_share(&h) == 1, "all near");
	h.near[40] = 0;
	h.home[63] = 1;
	TAP_OK(monitor_hit_share(&h) == 0, "none");
}

static void rates(void)
{
	struct monitor_region before = made_up("a"), now = made_up("a");

	before.stats.promotions = 1000;
	now.stats.promotions = 1512;
	monitor_rates(&now, &before, 2);
	TAP_OK(now.promotions == 256 && now.demotions == 0, "pages a second");
	monitor_rates(&now, NULL, 2);
	TAP_OK(now.promotions < 0 && now.demotions < 0, "none of the first time");
	now.uuid[3] = 1;
	monitor_rates(&now, &before, 2);
	TAP_OK(now.promotions < 0, "nor of another region of that name");
	now.uuid[3] = 0;
	now.stats.promotions = 0;
	monitor_rates(&now, &before, 2);
	TAP_OK(now.promotions < 0, "nor of counts that began anew");
	now.stats.promotions = 2000;
	before.problem = "is gone";
	monitor_rates(&now, &before, 2);
	TAP_OK(now.promotions < 0, "nor after something that could not be read");
}

static void texts(void)
{
	char text[16];

	TAP_STR_EQ(rate_text(0, text), "0", "rates: none");
	TAP_STR_EQ(rate_text(99999, text), "99999", "rates: as they are");
	TAP_STR_EQ(rate_text(99999.7, text), "100.0k", "rates: in thousands");
	TAP_STR_EQ(rate_text(999999999, text), "1.0G", "rates: rounded up to more");
	TAP_STR_EQ(rate_text(-1, text), "-", "rates: not known");
	TAP_STR_EQ(share_text(0.999, text), "99%", "shares: all but a little is not all");
	TAP_STR_EQ(share_text(1, text), "100%", "shares: and all is");
}

/* The lines of a table, and how many it says there are. */
static size_t table(struct monitor_region *regions, size_t nr, size_t width, size_t lines,
		    bool colours, char line[16][1024])
{
	size_t bytes, n = 0, said;
	char *text, *at;
	FILE *to = open_memstream(&text, &bytes);

	if (!to)
		tap_bail("no memory");
	said = monitor_table(to, regions, nr, width, lines, colours);
	fclose(to);
	for (at = strtok(text, "\n"); at && n < 16; at = strtok(NULL, "\n"))
		snprintf(line[n++], 1024, "%s", at);
	free(text);
	TAP_EQ(said, n, "a table says how many lines it has");
	return n;
}

static void tables(void)
{
	struct monitor_region regions[3] = { made_up("db"), made_up("gone"),
					     made_up("a-name-that-is-longer-than-its-column") };
	char line[16][1024];
	size_t n;

	regions[1].problem = "is gone";
	regions[2].promotions = regions[2].demotions = -1;
	regions[2].stats.near = 0;
	memset(&regions[2].histogram, 0, sizeof(regions[2].histogram));

	n = table(regions, 3, 80, SIZE_MAX, false, line);
	TAP_EQ(n, 6, "head, two lines each, one of what is gone");
	TAP_STR_EQ(line[0], "REGION             POLICY        NEAR    NEAR MAX        HOME  HIT "
			    "NEAR/S HOME/S", "the head");
	TAP_STR_EQ(line[1], "db                 auto     16.00 GiB   24.00 GiB   48.00 GiB  75%   "
			    "1536      0", "numbers of a region");
	TAP_STR_EQ(line[2], "  [...................==================8888888888888888888"
			    "                  ]", "its strip: cold, warm, hot and near, unknown");
	TAP_STR_EQ(line[3], "gone               is gone", "one that is gone");
	TAP_STR_EQ(line[4], "a-name-that-is-lo~ auto           0 B   24.00 GiB   64.00 GiB    -   "
			    "   -      -", "a long name, and what is not known");
	for (size_t i = 0; i < n; i++)
		TAP_OK(strlen(line[i]) <= 80, "80 columns: line %zu", i);

	n = table(regions, 3, 30, SIZE_MAX, false, line);
	for (size_t i = 0; i < n; i++)
		TAP_OK(strlen(line[i]) <= 30, "30 columns: line %zu", i);
	n = table(regions, 3, 80, 4, false, line);
	TAP_OK(n == 4 && !strcmp(line[3], "... and 2 more"),
	       "four lines: the first, and how many more");
	n = table(regions, 2, 80, 4, false, line);
	TAP_OK(n == 4 && !strcmp(line[3], "gone               is gone"), "as many as fit");
	n = table(regions, 0, 80, 4, false, line);
	TAP_EQ(n, 1, "no regions: the head alone");
	table(regions, 1, 80, 9, true, line);
	TAP_OK(strstr(line[2], "\033[48;5;220") && strstr(line[2], "\033[0m"), "colours of strips");
	TAP_OK(!strchr(line[1], '\033'), "and of nothing else");
}

int main(void)
{
	shares();
	rates();
	texts();
	tables();
	return tap_done();
}
