// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drawings of heat, from samples that are made up: what is where in the terminal, and that SVG
 * and PNG are the same picture.
 *
 * With two arguments it writes them, as SVG and PNG, for heat-picture.sh.
 */
#include <png.h>
#include <unistd.h>

#include "../../tools/heat_samples.c"
#include "../../tools/heat_text.c"
#include "../../tools/picture.c"
#include "../../tools/picture_svg.c"

/* The same names for the same parts of both. */
#define put_rect  png_rect
#define put_words png_words
#include "../../tools/picture_png.c"

#include "tap.h"

#define GIB	((uint64_t)1 << 30)
#define SAMPLES 100
#define CELLS	48

/*
 * The first quarter of the region is hot, and near from half of the time on; the last is not
 * known; between them it is cold, with one cell of which a third is near.
 */
static struct heat_samples made_up(void)
{
	struct heat_samples samples = { .name = "r<&>", .bytes = 96 * GIB, .cell = 2 * GIB,
					.nr_cells = CELLS, .policy.near_max = 24 * GIB };

	for (size_t t = 0; t < SAMPLES; t++) {
		struct hmem_tier_cell *cells = heat_samples_next(&samples, (double)t / 10);

		if (!cells)
			tap_bail("no memory");
		for (size_t i = 0; i < CELLS * 3 / 4; i++)
			cells[i].heat = i < CELLS / 4 ? 256 * 36 : 256 * 26;
		for (size_t i = 0; t >= SAMPLES / 2 && i < CELLS / 4; i++)
			cells[i].near = 255;
		cells[24].near = 85;
		samples.nr++;
	}
	return samples;
}

/* --- what it is made of ---------------------------------------------------------- */

static void rates(void)
{
	char text[16];

	TAP_STR_EQ(heat_rate_text(256 * 26, text), "55.9 /min", "about one touch a second");
	TAP_STR_EQ(heat_rate_text(256 * 27 + 128, text), "2.6 /s", "octaves and parts of them");
	TAP_STR_EQ(heat_rate_text(256 * 40, text), "15.3 k/s", "thousands");
	TAP_STR_EQ(heat_rate_text(256 * 15, text), "1.6 /h", "and few");
	TAP_STR_EQ(heat_rate_text(0, text), "unknown", "or nothing");
}

static void levels(void)
{
	unsigned int previous = 1, wrong = 0;

	TAP_EQ(heat_level(0, 100, 900, 8), 0, "nothing is known");
	TAP_EQ(heat_level(100, 100, 900, 8), 1, "the coldest");
	TAP_EQ(heat_level(900, 100, 900, 8), 8, "the hottest");
	TAP_EQ(heat_level(500, 100, 900, 8), 4, "in the middle");
	TAP_EQ(heat_level(77, 77, 77, 8), 8, "all alike");
	for (unsigned int heat = 100; heat <= 900; heat++) {
		unsigned int level = heat_level(heat, 100, 900, 8);

		wrong += level < previous || level > previous + 1 || level > 8;
		previous = level;
	}
	TAP_EQ(wrong, 0, "and in order between them");
}

static void grids(const struct heat_samples *samples)
{
	struct heat_grid grid;

	TAP_OK(heat_grid_make(&grid, samples, 1000, 1000), "a grid with room for all");
	TAP_OK(grid.columns == SAMPLES && grid.rows == CELLS, "is no larger than the samples");
	TAP_OK(grid.least == 256 * 26 && grid.most == 256 * 36, "and knows what is in it");
	TAP_OK(grid.cell[60 * CELLS + 3].near == 255 && grid.cell[40 * CELLS + 3].near == 0,
	       "cell by cell");
	heat_grid_free(&grid);
	TAP_OK(heat_grid_make(&grid, samples, 7, 5), "one that neighbours share");
	TAP_OK(grid.cell[0].heat == 256 * 36 && grid.cell[1].heat == 256 * 36 &&
	       grid.cell[2].heat == 256 * 26 && !grid.cell[4].heat, "has the hottest of them");
	TAP_EQ(grid.cell[3 * 5].near, 255 * 7 / 15, "and what is near of them all");
	TAP_OK(heat_grid_time(&grid, samples, 3) == 4.2 &&
	       heat_grid_offset(&grid, samples, 2) == 2 * 19 * GIB, "each begins where it does");
	heat_grid_free(&grid);
}

/* --- in a terminal --------------------------------------------------------------- */

/* Lines of what @draw prints; line[i] are freed with the first. */
static size_t lines_of(char *text, char *line[], size_t most)
{
	size_t n = 0;

	for (char *at = strtok(text, "\n"); at && n < most; at = strtok(NULL, "\n"))
		line[n++] = at;
	return n;
}

static char *drawn(const struct heat_samples *samples, size_t width, size_t rows, bool colours)
{
	size_t bytes;
	char *text;
	FILE *to = open_memstream(&text, &bytes);

	if (!to || !heat_text(to, samples, width, rows, colours) || fclose(to))
		tap_bail("no memory");
	return text;
}

static size_t longest(char *line[], size_t n)
{
	size_t most = 0;

	for (size_t i = 0; i < n; i++)
		most = strlen(line[i]) > most ? strlen(line[i]) : most;
	return most;
}

static void terminal(const struct heat_samples *samples)
{
	char *line[64], *text = drawn(samples, 80, 16, false), row[128];
	size_t n = lines_of(text, line, 64);

	TAP_EQ(n, 21, "title, 16 rows, axis, times, legend");
	TAP_EQ(longest(line, n), 80, "in 80 columns");
	TAP_OK(!strchr(text, '\033'), "without colours there are no escapes");
	TAP_STR_EQ(line[0], "r<&>: 96.00 GiB, near_max 24.00 GiB, 100 samples in 9.9 s", "title");
	snprintf(row, sizeof(row), "%11s |%.*s%.*s|", "0 B", 33,
		 "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@", 33,
		 "8888888888888888888888888888888888888888");
	TAP_STR_EQ(line[1], row, "hot, at home first and near then");
	snprintf(row, sizeof(row), "%11s |%.*s|", "24.00 GiB", 66,
		 ".................................................................."
		 "..................");
	TAP_STR_EQ(line[5], row, "cold, beyond the first quarter");
	snprintf(row, sizeof(row), "%11s |%66s|", "72.00 GiB", "");
	TAP_STR_EQ(line[13], row, "and unknown, in the last");
	TAP_OK(strspn(line[17] + 12, "+-") == 68, "an axis below them");
	TAP_OK(strstr(line[18], " 0.0 s ") && strstr(line[18], "2.4 s"), "with times");
	TAP_STR_EQ(line[19], "heat at home \".:-=+*%@\", near \"_12345678\"", "what the marks are");
	TAP_STR_EQ(line[20], "a page is touched 55.9 /min to 953.7 /s", "and stand for");
	free(text);

	text = drawn(samples, 40, 100, false);
	n = lines_of(text, line, 64);
	TAP_EQ(n, CELLS + 5, "no more rows than cells");
	TAP_OK(strlen(line[1]) == 40 && longest(line, n - 2) == 40, "and as narrow as the terminal");
	free(text);
}

static void colours(const struct heat_samples *samples)
{
	char *line[64], *text = drawn(samples, 80, 16, true);

	lines_of(text, line, 64);
	TAP_OK(!strncmp(line[1], "        0 B |\033[48;5;81;38;5;16m@@@", 29), "blue at home");
	TAP_OK(strstr(line[1], "@\033[48;5;220;38;5;16m88"), "yellow near");
	TAP_OK(strstr(line[1], "8\033[0m|"), "and off at the end of the row");
	TAP_OK(!strchr(line[13], '\033'), "none of what is unknown");
	free(text);
}

static void map(const struct heat_samples *samples)
{
	char *text, *line[64];
	size_t n, bytes;
	FILE *to = open_memstream(&text, &bytes);

	if (!to)
		tap_bail("no memory");
	heat_map(to, samples, "manual");
	fclose(to);
	n = lines_of(text, line, 64);
	TAP_EQ(n, CELLS + 2, "a map: a row for each cell");
	TAP_OK(longest(line, n) <= 80, "in 80 columns");
	TAP_STR_EQ(line[0], "r<&>: 96.00 GiB, policy manual, 48 rows of 2.00 GiB", "its title");
	TAP_STR_EQ(line[2], "        0 B 100% |################################################"
			    "| 953.7 /s", "hot and near");
	TAP_STR_EQ(line[26], "  48.00 GiB  33% |#                                               "
			     "| 55.9 /min", "a third of it");
	free(text);
}

static void one_sample(void)
{
	struct heat_samples samples = { .name = "one", .bytes = 2 << 20, .cell = 2 << 20,
					.nr_cells = 1 };
	char *text, *line[8];

	if (!heat_samples_next(&samples, 0))
		tap_bail("no memory");
	samples.nr = 1;
	text = drawn(&samples, 80, 16, false);
	TAP_EQ(lines_of(text, line, 8), 6, "one cell at one time");
	TAP_STR_EQ(line[0], "one: 2.00 MiB, near_max 0 B, 1 sample in 0.0 s", "of 1 sample");
	TAP_STR_EQ(line[1], "        0 B | |", "of which nothing is known");
	TAP_STR_EQ(line[5], "of no page is it known", "and that is told");
	free(text);
	heat_samples_free(&samples);
}

/* --- as files ---------------------------------------------------------------------- */

static unsigned char *read_png(const char *path, unsigned int *width, unsigned int *height)
{
	png_image image = { .version = PNG_IMAGE_VERSION };
	unsigned char *points;

	if (!png_image_begin_read_from_file(&image, path))
		tap_bail("%s: %s", path, image.message);
	image.format = PNG_FORMAT_RGB;
	points = malloc(PNG_IMAGE_SIZE(image));
	if (!points || !png_image_finish_read(&image, NULL, points, 0, NULL))
		tap_bail("%s: %s", path, image.message);
	*width = image.width;
	*height = image.height;
	return points;
}

static void write_files(const struct heat_samples *samples, const char *svg, const char *png)
{
	FILE *to = fopen(svg, "w");

	if (!to)
		tap_bail("%s: %s", svg, strerror(errno));
	TAP_OK(!picture_svg(samples, to), "SVG");
	fclose(to);
	to = fopen(png, "w");
	if (!to)
		tap_bail("%s: %s", png, strerror(errno));
	TAP_OK(!picture_png(samples, to), "PNG");
	fclose(to);
}

static uint32_t point(const unsigned char *points, int x, int y)
{
	const unsigned char *at = points + 3 * (y * PICTURE_WIDTH + x);

	return PICTURE_RGB(at[0], at[1], at[2]);
}

/* The middle of a part of the map, in percent of its size. */
static uint32_t in_map(const unsigned char *points, int right, int down)
{
	return point(points, LEFT + right * WIDTH / 100, TOP + down * HEIGHT / 100);
}

static void files(const struct heat_samples *samples, const char *svg, const char *png)
{
	unsigned int width, height;
	unsigned char *points;
	FILE *full;

	write_files(samples, svg, png);
	points = read_png(png, &width, &height);
	if (TAP_OK(width == PICTURE_WIDTH && height == PICTURE_HEIGHT, "PNG: its size")) {
		TAP_EQ(in_map(points, 10, 10), picture_colour(false, 255), "PNG: hot at home");
		TAP_EQ(in_map(points, 90, 10), picture_colour(true, 255), "PNG: hot and near");
		TAP_EQ(in_map(points, 50, 70), picture_colour(false, 0), "PNG: cold");
		TAP_EQ(in_map(points, 50, 90), UNKNOWN_HOME, "PNG: unknown");
		TAP_EQ(point(points, LEFT - 1, TOP + 5), 0, "PNG: a frame around it");
		TAP_EQ(point(points, 2, 2), PICTURE_RGB(255, 255, 255), "PNG: and nothing outside");
		TAP_EQ(point(points, LEGEND + 5, LEGEND_TOP), picture_colour(false, 255),
		       "PNG: a legend");
	}
	free(points);
	full = fopen("/dev/full", "w");
	if (full) {
		TAP_OK(picture_png(samples, full) || fflush(full) || ferror(full),
		       "PNG: a full disk is noticed");
		fclose(full);
	}
}

int main(int argc, char **argv)
{
	struct heat_samples samples = made_up();
	const char *scratch = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
	char svg[4096], png[4096];

	if (argc == 3) {
		write_files(&samples, argv[1], argv[2]);
		heat_samples_free(&samples);
		return tap_done();
	}
	rates();
	levels();
	grids(&samples);
	terminal(&samples);
	colours(&samples);
	map(&samples);
	one_sample();
	snprintf(svg, sizeof(svg), "%s/heat.svg", scratch);
	snprintf(png, sizeof(png), "%s/heat.png", scratch);
	files(&samples, svg, png);
	unlink(svg);
	unlink(png);
	heat_samples_free(&samples);
	return tap_done();
}
