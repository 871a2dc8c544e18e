// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every byte of a superblock's first 4 KiB, changed one at a time on the media: the pool
 * is refused or recovers from its second copy; it is never believed, never written to by
 * a look at it, and nothing is lost.
 *
 * hmem-test: topology=pmem1 kernels=newest long=lts timeout=400
 */
#include "pools.h"

#define HEADER		4096
#define COPY_B		(1UL << 20)
#define REGIONS		3

static int control;
static char pool[HMEM_NAME_LEN];
static volatile unsigned char *media;
static unsigned char whole[COPY_B + HEADER];

/*
 * The pool's memory as it is, through /dev/mem. Claiming the range revokes such mappings,
 * so there is none while the module is asked.
 */
static void map_media(void)
{
	static int fd = -1;
	static unsigned long start;

	if (fd < 0) {
		char path[PATH_MAX];
		FILE *f;

		snprintf(path, sizeof(path), "/sys/bus/cxl/devices/%s/resource", pool);
		f = fopen(path, "re");
		if (!f || fscanf(f, "%lx", &start) != 1)
			tap_bail("no %s", path);
		fclose(f);
		fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			tap_bail("/dev/mem: %s", strerror(errno));
	}
	media = mmap(NULL, COPY_B + HEADER, PROT_READ | PROT_WRITE, MAP_SHARED, fd, start);
	if (media == MAP_FAILED)
		tap_bail("mmap of /dev/mem: %s", strerror(errno));
}

static void unmap_media(void)
{
	munmap((void *)media, COPY_B + HEADER);
}

static int ask(unsigned int flags, struct hmem_pool_attach *answer)
{
	int rc;

	unmap_media();
	rc = pool_attach_cxl(control, pool, flags, answer);
	map_media();
	return rc;
}

static bool documented(int rc)
{
	return rc == -EUCLEAN || rc == -EPROTONOSUPPORT || rc == -EUSERS;
}

static bool regions_are_back(void)
{
	struct hmem_region_query info;
	char name[16], data[16];

	for (int i = 0; i < REGIONS; i++) {
		snprintf(name, sizeof(name), "sb-%d", i);
		int fd = region_open(name, O_RDONLY);
		bool good = fd >= 0 && !region_info(fd, &info) && info.uid == USER_UID &&
			    info.bytes == (i + 1) * EXTENT && info.mode == 0640u &&
			    pread(fd, data, sizeof(data), i * EXTENT) == sizeof(data) &&
			    !strcmp(data, name);

		if (fd >= 0)
			close(fd);
		if (!good) {
			tap_diag("%s is not as it was", name);
			return false;
		}
	}
	return true;
}

static int tally_ok, tally_repaired, tally_refused;

/* One look at changed media; false and a word about it when something is wrong. */
static bool check(const char *what, unsigned long at, bool may_be_refused)
{
	struct hmem_pool_attach answer;
	int rc = ask(HMEM_ATTACH_CHECK, &answer);

	if (rc) {
		tally_refused++;
		if (may_be_refused && documented(rc))
			return true;
	} else if (answer.regions == REGIONS && !(answer.state & HMEM_POOL_FORMATTED)) {
		tally_ok++;
		tally_repaired += !!(answer.state & HMEM_POOL_REPAIRED);
		return true;
	}
	tap_diag("%s, byte %lu: %d, %u regions, state %#x", what, at, rc, answer.regions,
		 answer.state);
	return false;
}

/* @copies: 1 for A, 2 for B, 3 for both */
static void flip(unsigned long at, int copies, unsigned char bits)
{
	if (copies & 1)
		media[at] ^= bits;
	if (copies & 2)
		media[COPY_B + at] ^= bits;
}

static void look(const char *what, int copies, int step, unsigned char bits)
{
	int wrong = 0, touched = 0;

	tally_ok = tally_repaired = tally_refused = 0;
	for (unsigned long at = 0; at < HEADER; at += step) {
		flip(at, copies, bits);
		wrong += !check(what, at, copies == 3);
		flip(at, copies, bits);
		/* Whoever wrote to it would have made the second flip a first one. */
		if (at % 512 == 0 || at + step >= HEADER)
			touched += !!memcmp((void *)media, whole, HEADER) ||
				   !!memcmp((void *)(media + COPY_B), whole + COPY_B, HEADER);
	}
	tap_diag("%s: %d recovered (%d say repaired), %d refused", what, tally_ok, tally_repaired,
		 tally_refused);
	TAP_EQ(wrong, 0, "%s, bits %#x: recovered or refused", what, bits);
	TAP_EQ(touched, 0, "%s, bits %#x: the media is as it was", what, bits);
	if (copies != 3)
		TAP_EQ(tally_refused, 0, "%s, bits %#x: the other copy saves it every time", what,
		       bits);
	else
		TAP_OK(tally_refused > 0, "%s, bits %#x: there is nothing to save it", what, bits);
}

/* For a sample the pool is attached in earnest. */
static void attach(const char *what, int copies)
{
	struct hmem_pool_attach answer;
	int wrong = 0;

	for (unsigned long at = 0; at < HEADER; at += 512) {
		memcpy((void *)media, whole, sizeof(whole));
		flip(at, copies, 0x10);
		unmap_media();
		int rc = pool_attach_cxl(control, pool, 0, &answer);

		if (!rc) {
			if (answer.regions != REGIONS || !regions_are_back())
				wrong++;
			if (pool_detach(control, pool))
				wrong++;
			/* Repaired: what is there now stands on its own. */
			rc = pool_attach_cxl(control, pool, HMEM_ATTACH_CHECK, &answer);
			if (rc || answer.regions != REGIONS ||
			    answer.state & (HMEM_POOL_REPAIRED | HMEM_POOL_FORMATTED)) {
				tap_diag("after it: %d, state %#x", rc, answer.state);
				wrong++;
			}
			map_media();
		} else {
			map_media();
			flip(at, copies, 0x10);
			if (copies != 3 || !documented(rc) ||
			    memcmp((void *)media, whole, sizeof(whole))) {
				tap_diag("%s, byte %lu: %d", what, at, rc);
				wrong++;
			}
		}
	}
	memcpy((void *)media, whole, sizeof(whole));
	TAP_EQ(wrong, 0, "%s: attached with all regions and repaired, or refused untouched", what);
}

/* Both copies gone altogether, or one of them. */
static void destroyed(void)
{
	struct hmem_pool_attach answer;

	memset((void *)media, 0xff, HEADER);
	TAP_OK(check("A overwritten", 0, false), "copy A overwritten: copy B saves it");
	memset((void *)(media + COPY_B), 0x55, HEADER);
	TAP_EQ(ask(0, NULL), -EUCLEAN, "both overwritten: refused");
	TAP_OK(media[0] == 0xff && media[COPY_B] == 0x55 && media[HEADER - 1] == 0xff,
	       "and left as they are");
	memset((void *)(media + COPY_B), 0, HEADER);
	TAP_EQ(ask(0, NULL), -EUCLEAN,
	       "one overwritten, the other blank: refused as well");
	memcpy((void *)media, whole, sizeof(whole));
	memset((void *)media, 0, HEADER);
	TAP_OK(check("A blank", 0, false), "copy A blank: copy B saves it");
	memcpy((void *)media, whole, sizeof(whole));
	memset((void *)(media + COPY_B), 0, HEADER);
	TAP_OK(check("B blank", 0, false), "copy B blank: copy A saves it");
	memset((void *)media, 0, HEADER);
	TAP_EQ(ask(HMEM_ATTACH_CHECK, &answer), 0,
	       "both blank: would be formatted");
	TAP_OK(answer.state & HMEM_POOL_FORMATTED && !answer.regions, "says so");
	TAP_OK(!media[0] && !media[COPY_B], "and is not by looking");
	memcpy((void *)media, whole, sizeof(whole));
}

int main(void)
{
	char name[16] = "";

	control = must_begin_cxl();
	must_cxl("pmem", pool);
	must(pool_attach_cxl(control, pool, HMEM_ATTACH_FORMAT, NULL), "attach");
	for (int i = 0; i < REGIONS; i++) {
		snprintf(name, sizeof(name), "sb-%d", i);
		must(region_create_as(control, name, pool, (i + 1) * EXTENT, USER_UID, 0, 0640),
		     "create");
		int fd = must_open(name, O_RDWR);

		if (pwrite(fd, name, sizeof(name), i * EXTENT) != sizeof(name))
			tap_bail("write: %s", strerror(errno));
		close(fd);
	}
	must(pool_detach(control, pool), "detach");
	map_media();
	memcpy(whole, (void *)media, sizeof(whole));
	TAP_OK(check("as it is", 0, false) && tally_ok == 1 && !tally_repaired,
	       "the pool is good to begin with");

	/* Every byte once; the same code judges both copies, so samples do for the rest. */
	look("copy A", 1, 1, 0xff);
	look("copy A", 1, 127, 0x01);
	look("copy B", 2, 61, 0xff);
	look("both copies", 3, 61, 0x01);
	attach("copy A", 1);
	attach("copy B", 2);
	attach("both copies", 3);
	destroyed();

	unmap_media();
	must(pool_attach_cxl(control, pool, 0, NULL), "attach");
	TAP_OK(regions_are_back(), "at the end everything is there");
	must(pool_detach(control, pool), "detach");
	cxl_end(pool);
	return tap_done();
}
