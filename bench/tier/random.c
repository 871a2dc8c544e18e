// SPDX-License-Identifier: GPL-2.0-only
/* Tables for draws in constant time. */
#include <stdlib.h>

#include "random.h"
#include "sim.h"

void alias_build(struct alias *a, const double *weight, uint32_t n)
{
	uint32_t *stack = sim_alloc(n, sizeof(*stack)), small = 0, large = n;
	double *scaled = sim_alloc(n, sizeof(*scaled)), sum = 0;

	a->n = n;
	a->slot = sim_alloc(n, sizeof(*a->slot));
	for (uint32_t i = 0; i < n; i++)
		sum += weight[i];
	/* Those below the mean at the bottom of the stack, the others at its top. */
	for (uint32_t i = 0; i < n; i++) {
		scaled[i] = weight[i] / sum * n;
		if (scaled[i] < 1)
			stack[small++] = i;
		else
			stack[--large] = i;
	}
	while (small && large < n) {
		uint32_t low = stack[--small], high = stack[large];

		a->slot[low].keep = (uint32_t)(scaled[low] * 0xffffffff);
		a->slot[low].other = high;
		scaled[high] -= 1 - scaled[low];
		if (scaled[high] < 1) {
			large++;
			stack[small++] = high;
		}
	}
	while (small)
		a->slot[stack[--small]].keep = UINT32_MAX;
	while (large < n)
		a->slot[stack[large++]].keep = UINT32_MAX;
	free(scaled);
	free(stack);
}

void alias_free(struct alias *a)
{
	free(a->slot);
	a->slot = NULL;
}

uint32_t *random_permutation(struct random *r, uint32_t n)
{
	uint32_t *p = sim_alloc(n, sizeof(*p));

	for (uint32_t i = 0; i < n; i++) {
		uint32_t j = random_below(r, i + 1);

		p[i] = p[j];
		p[j] = i;
	}
	return p;
}
