/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every constant of the policy engine that is a choice: name, default, least, most, unit, and
 * why it is so. policy.h makes a struct of it, policy_knobs.c the table by which it is set and
 * checked; `tier --list` prints it for Documentation/tiering.md.
 *
 * Sources: [P] measured or given by the platform, 0 of a cost: as the driver measured it; [S]
 * tuned in bench/tier; [NUMAB] as in NUMA balancing (numa_balancing_scan_period_max_ms is a minute);
 * [A] arithmetic; [D] this project's design.
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
	X(visit_ns, 280, 1, 10000, "ns", "looking at an extent that needs nothing [P]")           \
	X(pass_ns, 40, 1, 10000, "ns", "passing over one when extents are sought that move [P]")  \
	X(calm_pct, 60, 1, 100, "% of the budget", "spent while nothing changes [S]")             \
	X(haste_pct, 800, 100, 10000, "% of the budget",                                          \
	  "spent, while it was saved, when extents become hot or cold [S]")                       \
	X(haste_from, 36, 1, 65535, "crossings/16",						  \
	  "of late, from which there is haste: more than two at once [S]")			  \
	X(haste_ticks, 32, 1, 1024, "ticks", "in which they fade to 1/e: half a round [A]")	  \
	X(haste_most_pct, 400, 100, 10000, "% of haste_from",					  \
	  "that is remembered: haste ends 36 ticks after the last [A]")				  \
	X(haste_start_pct, 200, 0, 10000, "% of haste_from",					  \
	  "of a region little is known of: haste for 17 ticks more [A]")			  \
	X(haste_grown_pct, 25, 0, 100, "% of extents",						  \
	  "that are new, from which so little is known [D]")					  \
	X(learn_rounds, 2, 0, 64, "rounds",							  \
	  "before which so little is known: two touches are a rate [D]")			  \
	X(save_rounds, 3, 0, 64, "rounds", "over all extents that can be saved [S]")              \
	/* When to look. */                                                                       \
	X(window_min_ms, 50, 1, 60000, "ms", "a round over all extents takes at least this [S]")  \
	X(window_max_ms, 60000, 1, 600000, "ms", "and at most this, of what is idle [NUMAB]")     \
	X(seen_low_pct, 10, 0, 100, "%", "fewer units seen in a round: it lengthens [D]")         \
	X(seen_high_pct, 30, 0, 100, "%", "more: it shortens, as far as the budget goes [D]")     \
	X(window_step_pct, 150, 100, 1000, "%",							  \
	  "of a window the next, or the reverse: up and down undo each other [A]")		  \
	X(ticks, 64, 1, 1024, "in a round", "reaction time against wakeups [S]")                  \
	X(tick_min_ms, 5, 1, 10000, "ms", "at most 200 wakeups a second [S]")                     \
	X(tick_max_ms, 250, 1, 10000, "ms", "moves and follow-ups wait for a tick [S]")           \
	X(late_ticks, 2, 1, 64, "ticks",							  \
	  "made up for when one comes late: jiffies make 5 ms 8 to 12 [P]")			  \
	X(sweep_pct, 25, 0, 100, "% of a tick",							  \
	  "for seeking extents that are to move; the rest looks for news [D]")			  \
	X(sweep_halvings, 8, 0, 30, "times",							  \
	  "that share is halved when all are passed in vain: to a 256th [A]")			  \
	X(split_most_pct, 50, 0, 100, "% of extents",						  \
	  "split, from which scans set the pace and nobody sweeps [D]")				  \
	X(look_oct4, 5, 0, 64, "octaves/4",                                                       \
	  "less than the time between touches of a page that just has room, to look at it [S]")   \
	X(look_early_pct, 50, 0, 100, "% of a look",						  \
	  "before which bits that were not cleared for it are not read [D]")			  \
	X(look_late_pct, 200, 100, 10000, "% of a look",					  \
	  "after which they are cleared first: an octave off [A]")				  \
	X(quiet_pct, 50, 0, 100, "% of a window",						  \
	  "untouched, before which that says nothing [D]")					  \
	X(quiet_means, 4, 0, 64, "mean times",							  \
	  "untouched, from which it does all the same: chance 1 in 55 [A]")			  \
	X(quiet_seen_pct, 50, 0, 1000, "% of a mean time",					  \
	  "untouched that count as no observation more: chance 0.6 [A]")			  \
	/* What is believed. */                                                                   \
	X(lasting_max, 16, 1, 64, "observations", "that the long average looks back [S]")         \
	X(lucky_oct4, 16, 1, 64, "octaves/4",							  \
	  "that one observation counts for at most: twice its deviation [A]")			  \
	X(anew_seen, 2, 1, 16, "observations",							  \
	  "that a short average is worth which becomes the long one [D]")			  \
	X(surprise_oct4, 18, 4, 64, "octaves/4",                                                  \
	  "summed surprises that make the long average start anew (CUSUM) [S]")                   \
	X(drift_oct4, 7, 0, 32, "octaves/4", "surprise of one observation that is noise [S]")     \
	X(follow_pct, 50, 1, 100, "% of surprise_oct4",						  \
	  "from which an extent is looked at again at once [D]")				  \
	X(far_oct4, 11, 0, 64, "octaves/4",							  \
	  "over to the wrong side that is a crossing: a factor of seven [S]")			  \
	X(confirm_ms, 40, 0, 500, "ms", "over which surprises last to be believed: scans [S]")  \
	X(confirm_looks, 3, 2, 64, "looks",							  \
	  "at a surprise while it has to last: begin, middle and end [A]")			  \
	X(margin_pct, 100, 0, 400, "%", "of the standard deviation that doubt weighs [S]")        \
	X(sure, 5, 1, 16, "observations",                                                         \
	  "below which doubt weighs double: what is just believed is mostly luck [S]")            \
	X(unsure_pct, 200, 100, 1000, "% of doubt", "that weighs below sure [S]")		  \
	X(page_slack_oct4, 4, 0, 64, "octaves/4",						  \
	  "that a short average of a page is off before it has a say [D]")			  \
	X(floor_oct4, 8, 0, 16, "octaves/4",							  \
	  "below a look, where cold pages stay: touched in one of five [A]")			  \
	X(scan_step_oct4, 10, 1, 64, "octaves/4",						  \
	  "that the first scans may move a page by at most, each [D]")				  \
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
	X(abort_tries, 4, 1, 65535, "copies", "of which a share says something [D]")		  \
	X(demote_pages, 256, 1, 512, "pages",							  \
	  "to go from which a whole extent goes for them: half of it [A]")			  \
	/* Ping-pongs. */                                                                         \
	X(pingpong_ms, 10000, 1, 3600000, "ms", "a move undone within this is a ping-pong [S]")   \
	X(pingpong_pct, 10, 1, 100, "%", "of moves undone that widen the band [S]")               \
	X(pingpong_moves, 8, 1, 65535, "moves", "of which a share says something [D]")		  \
	X(band_up_oct4, 2, 0, 64, "octaves/4",							  \
	  "that ping-pongs widen the band a round: ten rounds to its end [D]")			  \
	X(band_down_oct4, 1, 0, 64, "octaves/4",						  \
	  "that calm narrows it: slower than it widened [D]")					  \
	X(band_calm_rounds, 16, 1, 1024, "rounds", "without ping-pongs that are calm [D]")	  \
	X(fade_pct, 25, 1, 100, "% a round",							  \
	  "forgotten of moves, ping-pongs and copies: the last four count [A]")			  \
	/* Splitting. */                                                                          \
	X(split, 1, 0, 1, "switch", "0: extents are never split [D]")                             \
	X(split_pct, 400, 100, 51200, "% of even",                                                \
	  "chance that two touches meet in one page, from which an extent is split [S]")          \
	X(split_prior, 1024, 1, 65535, "pairs", "weight of the whole region's unevenness [S]")    \
	X(split_pairs, 4000, 1, 1000000, "pairs", "before the region's unevenness is known [S]")  \
	X(split_memory, 1048576, 1000, 268435456, "pairs",					  \
	  "remembered of a region, then halved: 2048 meet by chance [A]")			  \
	X(split_seen, 4, 1, 64, "observations", "before which an extent is not split [D]")	  \
	X(split_faults, 4, 0, 64, "refaults",							  \
	  "of each page that the heat of an extent is to earn [D]")				  \
	X(split_rate_pct, 50, 0, 100, "% of extents", "split in one round at most [S]")            \
	X(collapse_pct, 97, 51, 100, "%", "of pages alike that make an extent whole again [S]")	  \
	X(collapse_scans, 32, 0, 255, "scans",							  \
	  "of an extent before that: four times what its averages are of [A]")			  \
	X(joined_seen, 4, 1, 64, "observations",						  \
	  "that one which was made whole counts for: fewer than sure [D]")

#endif /* HM_POLICY_KNOBS_H */
