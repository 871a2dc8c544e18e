// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <stdlib.h>

#include "tap.h"

#include "again.h"
#include "explore.h"
#include "instants.h"
#include "recovered.h"
#include "sequences.h"

void again_tell(void)
{
	const struct sequence *last = &sequence_last;

	tap_diag("explore one %d %" PRIu64 " %" PRIu64 " %u %d %d %u %u %u %u %" PRIu64 " %" PRIu64
		 " repeats it",
		 unit_shift > 6, explore_limit, explore_samples, recovered_again, (int)last->sort,
		 (int)last->start, last->first, last->second, last->fence, last->lacking, last->seed,
		 sequence_last_chance);
}

bool again_run(char *const *numbers)
{
	uint64_t number[AGAIN_NUMBERS];
	struct sequence sequence;

	for (unsigned int i = 0; i < AGAIN_NUMBERS; i++)
		number[i] = strtoull(numbers[i], NULL, 0);
	explore_media(number[0]);
	explore_limit = number[1];
	explore_samples = number[2];
	recovered_again = (unsigned int)number[3];
	sequence = (struct sequence){
		.sort = (enum sequence_sort)number[4],
		.start = (enum start)number[5],
		.first = (unsigned int)number[6],
		.second = (unsigned int)number[7],
		.fence = (unsigned int)number[8],
		.lacking = (unsigned int)number[9],
		.seed = number[10],
	};
	chance_exploring = number[11];
	return sequence_run(&sequence);
}
