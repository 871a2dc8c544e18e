// SPDX-License-Identifier: GPL-2.0-only
/*
 * The knobs of the policy engine by number: their names, ranges and reasons, from policy_knobs.h.
 */
#include "policy.h"

#define HM_KNOB(name, value, least, most, unit, why) { #name, value, least, most, unit, why },
static const struct hm_policy_knob hm_policy_table[] = { HM_POLICY_KNOBS(HM_KNOB) };
#undef HM_KNOB

#define HM_NR_KNOBS	(sizeof(hm_policy_table) / sizeof(hm_policy_table[0]))
_Static_assert(HM_NR_KNOBS * sizeof(u32) == sizeof(struct hm_policy_knobs), "u32 each, in order");

const struct hm_policy_knob *hm_policy_knob(u32 number)
{
	return number < HM_NR_KNOBS ? &hm_policy_table[number] : NULL;
}

void hm_policy_defaults(struct hm_policy_knobs *knobs)
{
	u32 *value = (u32 *)knobs;

	for (u32 i = 0; i < HM_NR_KNOBS; i++)
		value[i] = hm_policy_table[i].value;
}

static void fill(u32 *knob, u32 measured, u32 most, u32 otherwise)
{
	if (!*knob)
		*knob = !measured ? otherwise : measured < most ? measured : most;
}

void hm_policy_fill(struct hm_policy_knobs *knobs, const struct hm_policy_costs *measured)
{
	static const struct hm_policy_costs nothing;

	if (!measured)
		measured = &nothing;
	/* Memory is not slower than this; whoever has measured more was disturbed, or emulated. */
	fill(&knobs->near_ns, measured->near_ns, 1000, 100);
	fill(&knobs->home_ns, measured->home_ns, 10000, 250);
	fill(&knobs->copy_extent_ns, measured->copy_extent_ns, 2000000, 418000);
	fill(&knobs->copy_page_ns, measured->copy_page_ns, 5000, 1000);
}

bool hm_policy_set(struct hm_policy_knobs *knobs, u32 number, u32 value)
{
	const struct hm_policy_knob *knob = hm_policy_knob(number);

	if (!knob || value < knob->least || value > knob->most)
		return false;
	((u32 *)knobs)[number] = value;
	return true;
}
