// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <unistd.h>

#include "any.h"
#include "overlap_model.h"
#include "say.h"
#include "tokens.h"

/* Of each shared name; what cannot be there any more is forgotten. */
#define MOST_WRITES	400u

/* @by: who has made it so, for people */
static struct own {
	struct value value;
	bool taken;
	char by[64];
} own[OWN_NAMES];

/* @begin, @end: in the order of all begins and ends. */
struct write {
	struct value value;
	unsigned int user;
	bool under_way;
	bool done;
	uint64_t begin;
	uint64_t end;
};

static struct shared {
	struct write writes[MOST_WRITES];
	unsigned int nr;
} shared[SHARED_NAMES];

static struct change changes[USERS];
static uint64_t last_number, last_event;
static unsigned long round_seed;

const char *own_name(unsigned int name)
{
	static const char *const names[OWN_NAMES] = { "own0", "own1", "own2", "own3", "own4",
						      "own5", "own6", "own7", "own8", "own9" };

	return names[name];
}

const char *shared_name(unsigned int name)
{
	static const char *const names[SHARED_NAMES] = { "shared0", "shared1", "shared2" };

	return names[name];
}

void model_begin(unsigned long seed)
{
	round_seed = seed;
	/* Before all calls there is nothing. */
	for (unsigned int name = 0; name < SHARED_NAMES; name++) {
		shared[name].writes[0] = (struct write){ .user = USERS, .done = true };
		shared[name].nr = 1;
	}
}

/* --- what was found ------------------------------------------------------------------ */

static void tell_change(unsigned int user)
{
	const struct change *change = &changes[user];
	char before[VALUE_TEXT], after[VALUE_TEXT];

	if (!change->begun)
		return;
	say("user %u%s%s: %s", user, change->dead ? ", dead" : "",
	    user == token_user() ? ", running" : "", change->call);
	for (unsigned int i = 0; i < change->nr; i++)
		say("   %s: %s -> %s", own_name(change->name[i]),
		    value_text(&change->before[i], before), value_text(&change->after[i], after));
}

static void tell_shared(unsigned int name)
{
	char text[VALUE_TEXT];

	for (unsigned int i = 0; i < shared[name].nr; i++) {
		const struct write *write = &shared[name].writes[i];

		say("   %s by user %u, %llu to %llu%s%s", value_text(&write->value, text),
		    write->user, (unsigned long long)write->begin, (unsigned long long)write->end,
		    write->under_way ? ", under way" : "", write->done ? ", done" : "");
	}
}

void found(const char *format, ...)
{
	va_list ap;

	printf("# seed %lu, pass %llu: ", round_seed, (unsigned long long)token_passes());
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
	for (unsigned int user = 0; user < USERS; user++)
		tell_change(user);
	fflush(stdout);
	_exit(1);
}

/* --- names of one call --------------------------------------------------------------- */

struct change *change_of(unsigned int user)
{
	return &changes[user];
}

void change_new(struct change *change, const char *call)
{
	*change = (struct change){ .call = call, .number = ++last_number };
}

bool change_take(struct change *change, bool there)
{
	for (unsigned int tries = 0; tries < 12; tries++) {
		unsigned int name = any(OWN_NAMES);

		if (own[name].taken || (there && !own[name].value.there))
			continue;
		own[name].taken = true;
		change->name[change->nr] = name;
		change->before[change->nr] = own[name].value;
		change->after[change->nr] = own[name].value;
		change->nr++;
		return true;
	}
	return false;
}

void change_begin(struct change *change)
{
	change->begun = true;
}

void change_drop(struct change *change)
{
	for (unsigned int i = 0; i < change->nr; i++)
		own[change->name[i]].taken = false;
	memset(change, 0, sizeof(*change));
}

/* The names stay the call's, until it is dropped. */
void change_end(struct change *change, bool done)
{
	for (unsigned int i = 0; i < change->nr && done; i++) {
		struct own *name = &own[change->name[i]];

		name->value = change->after[i];
		snprintf(name->by, sizeof(name->by), "%s of user %u, pass %llu", change->call,
			 (unsigned int)(change - changes), (unsigned long long)token_passes());
	}
	change->begun = false;
}

static void own_look(struct hmem_shelf *shelf, unsigned int name, const char *when)
{
	char is[VALUE_TEXT], was[VALUE_TEXT];
	struct value value;
	int err = value_read(shelf, own_name(name), &value);

	if (err || !value_same(&value, &own[name].value))
		found("%s %s is %s (%d), not %s by %s", when, own_name(name),
		      value_text(&value, is), err, value_text(&own[name].value, was),
		      own[name].by);
}

void change_look(struct hmem_shelf *shelf, const struct change *change)
{
	for (unsigned int i = 0; i < change->nr; i++)
		own_look(shelf, change->name[i], change->call);
}

/* Whether it has happened. When it has been settled meanwhile, 0 is as good. */
static bool change_happened(struct hmem_shelf *shelf, const struct change *change,
			    const char *when)
{
	const struct change was = *change;
	bool before = true, after = !was.undone;
	struct value value[MOST_NAMES];
	char text[VALUE_TEXT];
	int err = 0;

	for (unsigned int i = 0; i < was.nr && !err; i++)
		err = value_read(shelf, own_name(was.name[i]), &value[i]);
	if (change->number != was.number)
		return false;
	if (err)
		found("%s what user %u was doing cannot be seen: %d", when,
		      (unsigned int)(change - changes), err);
	for (unsigned int i = 0; i < was.nr; i++) {
		before = before && value_same(&value[i], &was.before[i]);
		after = after && value_same(&value[i], &was.after[i]);
	}
	if (before || after)
		return after;
	for (unsigned int i = 0; i < was.nr; i++)
		say("%s is %s", own_name(was.name[i]), value_text(&value[i], text));
	found("%s what user %u was doing is neither done nor undone", when,
	      (unsigned int)(change - changes));
}

/* --- shared names -------------------------------------------------------------------- */

/* What had ended before one began that has returned is there no more. */
static void forget_replaced(struct shared *name)
{
	unsigned int left = 0;
	uint64_t begin = 0;

	for (unsigned int i = 0; i < name->nr; i++)
		if (name->writes[i].done && name->writes[i].begin > begin)
			begin = name->writes[i].begin;
	for (unsigned int i = 0; i < name->nr; i++)
		if (name->writes[i].under_way || name->writes[i].end >= begin)
			name->writes[left++] = name->writes[i];
	name->nr = left;
}

uint64_t shared_begin(unsigned int name, const struct value *value)
{
	struct shared *of = &shared[name];

	if (of->nr == MOST_WRITES)
		bail("%s is written too often", shared_name(name));
	of->writes[of->nr++] = (struct write){ .value = *value,
					       .user = token_user(),
					       .under_way = true,
					       .begin = ++last_event };
	return last_event;
}

void shared_end(unsigned int name, uint64_t number, bool done)
{
	struct shared *of = &shared[name];
	struct write *write = of->writes;

	while (write->begin != number)
		write++;
	write->under_way = false;
	write->done = done;
	write->end = ++last_event;
	/* What has failed was never there. */
	if (!done)
		*write = of->writes[--of->nr];
	forget_replaced(of);
}

static void shared_look_when(struct hmem_shelf *shelf, unsigned int name, const char *when)
{
	struct value value;
	char text[VALUE_TEXT];
	int err = value_read(shelf, shared_name(name), &value);

	for (unsigned int i = 0; i < shared[name].nr && !err; i++)
		if (value_same(&value, &shared[name].writes[i].value))
			return;
	say("%s could be:", shared_name(name));
	tell_shared(name);
	found("%s %s is %s (%d)", when, shared_name(name), value_text(&value, text), err);
}

/* At one instant: while it is read nothing else happens. */
void shared_look(struct hmem_shelf *shelf, unsigned int name)
{
	bool kept = token_keep(true);

	shared_look_when(shelf, name, "others see that");
	token_keep(kept);
}

/* --- deaths, and the power ----------------------------------------------------------- */

void model_dies(unsigned int user)
{
	struct change *change = &changes[user];

	if (!change->begun) {
		change_drop(change);
		return;
	}
	change->dead = true;
	change->dead_since = token_passes();
}

/* They happen no more, now that another has taken his place. */
static void shared_inherit(unsigned int user)
{
	for (unsigned int name = 0; name < SHARED_NAMES; name++)
		for (unsigned int i = 0; i < shared[name].nr; i++) {
			struct write *write = &shared[name].writes[i];

			if (write->user != user || !write->under_way)
				continue;
			write->under_way = false;
			write->end = ++last_event;
		}
}

void model_see_dead(struct hmem_shelf *shelf, unsigned int user, uint64_t pass)
{
	shared_inherit(user);
	for (unsigned int other = 0; other < USERS; other++) {
		struct change *change = &changes[other];
		uint64_t number = change->number;
		bool done;

		if (!change->dead || change->dead_since > pass)
			continue;
		done = change_happened(shelf, change, "opened once more,");
		if (change->number != number)
			continue;
		change_end(change, done);
		change_drop(change);
	}
}

void model_look(struct hmem_shelf *shelf, const char *when)
{
	bool busy[OWN_NAMES] = { false };

	for (unsigned int user = 0; user < USERS; user++) {
		const struct change *change = &changes[user];

		if (!change->begun)
			continue;
		change_happened(shelf, change, when);
		for (unsigned int i = 0; i < change->nr; i++)
			busy[change->name[i]] = true;
	}
	for (unsigned int name = 0; name < OWN_NAMES; name++)
		if (!busy[name])
			own_look(shelf, name, when);
	for (unsigned int name = 0; name < SHARED_NAMES; name++)
		shared_look_when(shelf, name, when);
}
