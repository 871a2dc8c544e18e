/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every constant of the policy engine that is a choice: name, default, least, most, unit, and
 * why it is so. policy.h makes a struct of it, policy_knobs.c the table by which it is set and
 * checked; `tier --list` prints it for Documentation/tiering.md.
 *
 * Sources: [P] measured or given by the platform, 0 of a cost: as the driver measured it; [S]
 * tuned in bench/tier; [NUMAB] as in NUMA balancing (numa_balancing_scan_period_max_ms is a minute);
 * [D] this project's design.
 */
#ifndef HM_POLICY_KNOBS_H
#define HM_POLICY_KNOBS_H

/* X(name, default, least, most, unit, why) */
#define HM_POLICY_KNOBS(X)                                                                        \
	/* What tracking may cost, and what its parts cost. */                                    \
	X(budget_ppm, 9000, 0, 500000, "ppm of a core",                                           \
	  "zaps, refaults, scans and visits; below the goal of 1 % [D]")                          \
	X(zap_ns, 1300, 1, 100000, "ns",                                                          \
	  "a 2 MiB mapping, flush and all that the worker does for it included [P]")              \
	X(fault_ns, 1900, 1, 1000000, "ns", "the refault after it, 1400 to 2400 [P]")             \
	X(scan_page_ns, 40, 1, 10000, "ns", "an accessed bit read, and what is made of it [P]")    \
	X(clear_page_ns, 6, 1, 10000, "ns", "one cleared, for a look soon after [P]")             \
	X(visit_ns, 140, 1, 10000, "ns", "looking at an extent that needs nothing [P]")           \
	X(pass_ns, 40, 1, 10000, "ns", "passing over one when extents are sought that move [P]")  \
	X(calm_pct, 60, 1, 100, "% of the budget", "spent while nothing changes [S]")             \
	X(haste_pct, 800, 100, 10000, "% of the budget",                                          \
	  "spent, while it was saved, when extents become hot or cold [S]")                       \
	X(save_rounds, 3, 0, 64, "rounds", "over all extents that can be saved [S]")              \
	/* When to look. */                                                                       \
	X(window_min_ms, 50, 1, 60000, "ms", "a round over all extents takes at least this [S]")  \
	X(window_max_ms, 60000, 1, 600000, "ms", "and at most this, of what is idle [NUMAB]")     \
	X(seen_low_pct, 10, 0, 100, "%", "fewer units seen in a round: it lengthens [D]")         \
	X(seen_high_pct, 30, 0, 100, "%", "more: it shortens, as far as the budget goes [D]")     \
	X(ticks, 64, 1, 1024, "in a round", "reaction time against wakeups [S]")                  \
	X(tick_min_ms, 5, 1, 10000, "ms", "at most 200 wakeups a second [S]")                     \
	X(tick_max_ms, 250, 1, 10000, "ms", "moves and follow-ups wait for a tick [S]")           \
	X(look_oct4, 5, 0, 64, "octaves/4",                                                       \
	  "less than the time between touches of a page that just has room, to look at it [S]")   \
	/* What is believed. */                                                                   \
	X(lasting_max, 16, 1, 64, "observations", "that the long average looks back [S]")         \
	X(surprise_oct4, 18, 4, 64, "octaves/4",                                                  \
	  "summed surprises that make the long average start anew (CUSUM) [S]")                   \
	X(drift_oct4, 7, 0, 32, "octaves/4", "surprise of one observation that is noise [S]")     \
	X(confirm_ms, 40, 0, 500, "ms", "over which surprises last to be believed: scans [S]")  \
	X(margin_pct, 100, 0, 400, "%", "of the standard deviation that doubt weighs [S]")        \
	X(sure, 5, 1, 16, "observations",                                                         \
	  "below which doubt weighs double: what is just believed is mostly luck [S]")            \
	/* What is moved. */                                                                      \
	X(band_oct4, 4, 0, 64, "octaves/4",                                                       \
	  "that who comes is hotter than who goes, doubt included: twice as hot [S]")             \
	X(band_whole_oct4, 4, 0, 64, "octaves/4",                                                 \
	  "more than that for whole extents, of which the luckiest of many is found [S]")         \
	X(band_max_oct4, 24, 0, 64, "octaves/4", "to which ping-pongs widen the band [S]")        \
	X(horizon_ms, 20000, 1, 3600000, "ms", "over which a move must earn its cost [S]")        \
	X(touch_lines, 64, 1, 4096, "accesses",                                                   \
	  "that a touch may stand for when there is room: the lines of a page [S]")               \
	X(near_ns, 0, 0, 100000, "ns",                                                            \
	  "latency of DRAM; 0: as measured of the pool, else 100 [P]")                            \
	X(home_ns, 0, 0, 1000000, "ns", "latency of the home; 0: likewise, else 250 [P]")         \
	X(copy_extent_ns, 0, 0, 1000000000, "ns", "2 MiB copied; 0: likewise, else 418000 [P]")   \
	X(copy_page_ns, 0, 0, 10000000, "ns", "4 KiB copied; 0: likewise, else 1000 [P]")         \
	X(rate_mib, 2048, 0, 1048576, "MiB/s", "copied at most, both directions together [S]")    \
	X(rate_save_ms, 250, 1, 10000, "ms", "of the rate that can be saved for a burst [S]")     \
	X(abort_wait_pct, 30, 0, 101, "%",                                                        \
	  "of copies given up for writers, from which on writers wait instead [P]")               \
	/* Ping-pongs. */                                                                         \
	X(pingpong_ms, 10000, 1, 3600000, "ms", "a move undone within this is a ping-pong [S]")   \
	X(pingpong_pct, 10, 1, 100, "%", "of moves undone that widen the band [S]")               \
	/* Splitting. */                                                                          \
	X(split, 1, 0, 1, "switch", "0: extents are never split [D]")                             \
	X(split_pct, 400, 100, 51200, "% of even",                                                \
	  "chance that two touches meet in one page, from which an extent is split [S]")          \
	X(split_prior, 1024, 1, 65535, "pairs", "weight of the whole region's unevenness [S]")    \
	X(split_pairs, 4000, 1, 1000000, "pairs", "before the region's unevenness is known [S]")  \
	X(split_rate_pct, 50, 0, 100, "% of extents", "split in one round at most [S]")            \
	X(collapse_pct, 97, 51, 100, "%", "of pages alike that make an extent whole again [S]")

#endif /* HM_POLICY_KNOBS_H */
