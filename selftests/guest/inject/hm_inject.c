// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: fault injection for tests
 *
 * Distributions build their kernels without fault injection, so this module brings what
 * the tests of hmem.ko's error paths need: chosen calls of one function fail. It is written
 * to /sys/module/hm_inject/parameters/fault:
 *
 *	FUNCTION HOW FIRST COUNT WHOSE DELAY
 *
 *	FUNCTION  any function that a kprobe can sit on, so none that is inlined
 *	HOW	  NUMBER  the call returns it, and does nothing
 *		  all	  the call returns its third argument, and does nothing: "no byte of
 *			  them was copied"
 *		  half	  the first of the calls is made with half of its third argument, the
 *			  others return 0 and do nothing: the power goes during a copy
 *		  pass	  the call is made: it is only counted, and delayed
 *	FIRST	  the first call that is concerned, counting from 1
 *	COUNT	  how many are; 0 for all from there on
 *	WHOSE	  hmem: calls from that module's own code, its init code included
 *		  self: calls of the process that wrote this
 *		  any
 *	DELAY	  milliseconds to let pass (busily, in the caller's place) before that, or until
 *		  "go" is written, if that comes first
 *
 * An empty line ends all faults; a second line for a function replaces its first. Reading
 * gives FUNCTION and three numbers for each: calls that matched WHOSE, how many of those were
 * concerned, and calls that the kprobe did not see. So a test raises FIRST until nothing was
 * concerned any more, and knows that it had all of them.
 *
 * Putting a kprobe somewhere and taking it away again takes long, so it stays until this
 * module goes.
 *
 * hmem.ko must be loaded after this module: its place is learned while it is loaded.
 */
#define pr_fmt(fmt) "hm_inject: " fmt

#include <linux/atomic.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <asm/tsc.h>

enum hm_how { HM_VALUE, HM_ALL, HM_HALF, HM_PASS };
enum hm_whose { HM_ANY, HM_SELF, HM_HMEM };

/* What was asked for. */
struct hm_fault {
	enum hm_how how;
	long value;
	unsigned int first;
	unsigned int count;
	enum hm_whose whose;
	unsigned int delay;
	pid_t process;
};

/**
 * struct hm_probe - a function that was asked for
 * @kprobe: sits on it from then on
 * @function: its name; empty where there is none
 * @active: there is a fault
 * @handlers: how many look at the fault, which changes only when none does
 * @fault: what to do
 * @calls: that matched
 * @concerned: that were made to fail
 * @missed: calls that the kprobe did not see before this fault
 */
struct hm_probe {
	struct kprobe kprobe;
	char function[64];
	bool active;
	atomic_t handlers;
	struct hm_fault fault;
	atomic_t calls;
	atomic_t concerned;
	unsigned long missed;
};

static struct hm_probe probes[64];
static struct module *hmem;
static bool let_go;

#define for_each_probe(p) \
	for (p = probes; p < probes + ARRAY_SIZE(probes); p++) \
		if (p->function[0])

/* A function that is not to be executed goes on here, and so returns to its caller at once. */
static noinline notrace void nothing(void)
{
	asm volatile("");
}

static bool is_meant(const struct hm_fault *fault, struct pt_regs *regs)
{
	struct module *module;

	switch (fault->whose) {
	case HM_SELF:
		/* Not in_task(): by a breakpoint a kprobe comes as if it were an NMI. */
		return !in_hardirq() && !in_serving_softirq() && current->tgid == fault->process;
	case HM_HMEM:
		module = READ_ONCE(hmem);
		return module && within_module(regs_get_kernel_stack_nth(regs, 0), module);
	case HM_ANY:
		break;
	}
	return true;
}

/*
 * By the TSC, as of an emulated CPU other than the first the kernel has measured how fast it loops
 * while somebody else had the processor: mdelay() may be over in a fiftieth of the time.
 */
static void until_let_go(unsigned int ms)
{
	u64 begin = rdtsc(), cycles = (u64)ms * tsc_khz;

	while (rdtsc() - begin < cycles && !READ_ONCE(let_go))
		cpu_relax();
}

/* Whether the function is not to be executed. */
static bool fail(struct hm_probe *probe, struct pt_regs *regs)
{
	const struct hm_fault *fault = &probe->fault;
	unsigned int call;

	if (!is_meant(fault, regs))
		return false;
	call = atomic_inc_return(&probe->calls);
	if (call < fault->first || (fault->count && call - fault->first >= fault->count))
		return false;
	atomic_inc(&probe->concerned);
	until_let_go(fault->delay);
	switch (fault->how) {
	case HM_PASS:
		return false;
	case HM_HALF:
		if (call == fault->first) {
			regs->dx /= 2;
			return false;
		}
		regs_set_return_value(regs, 0);
		break;
	case HM_ALL:
		regs_set_return_value(regs, regs->dx);
		break;
	case HM_VALUE:
		regs_set_return_value(regs, fault->value);
		break;
	}
	instruction_pointer_set(regs, (unsigned long)nothing);
	return true;
}

static int before(struct kprobe *kprobe, struct pt_regs *regs)
{
	struct hm_probe *probe = container_of(kprobe, struct hm_probe, kprobe);
	bool failed = false;

	atomic_inc(&probe->handlers);
	smp_mb__after_atomic();
	if (READ_ONCE(probe->active))
		failed = fail(probe, regs);
	atomic_dec(&probe->handlers);
	return failed;
}

/* A kprobe with this one may change the instruction pointer, and is not optimised into a jump. */
static void after(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
}

static void disarm(struct hm_probe *probe)
{
	WRITE_ONCE(probe->active, false);
	smp_mb();
	while (atomic_read(&probe->handlers))
		cond_resched();
}

/* The kprobe on a function; those on hmem.ko's own functions are gone when that is. */
static struct hm_probe *probe_on(const char *function)
{
	struct hm_probe *probe, *unused = NULL;
	int error;

	for (probe = probes; probe < probes + ARRAY_SIZE(probes); probe++) {
		if (!strcmp(probe->function, function))
			break;
		if (!unused && !probe->function[0])
			unused = probe;
	}
	if (probe < probes + ARRAY_SIZE(probes)) {
		if (!(probe->kprobe.flags & KPROBE_FLAG_GONE))
			return probe;
		unregister_kprobe(&probe->kprobe);
	} else if (unused) {
		probe = unused;
	} else {
		return ERR_PTR(-ENOSPC);
	}
	strscpy(probe->function, function);
	probe->kprobe = (struct kprobe){
		.symbol_name = probe->function,
		.pre_handler = before,
		.post_handler = after,
	};
	error = register_kprobe(&probe->kprobe);
	if (error)
		probe->function[0] = '\0';
	return error ? ERR_PTR(error) : probe;
}

static int parse(const char *text, char *function, struct hm_fault *fault)
{
	char how[24], whose[8];

	if (sscanf(text, "%63s %23s %u %u %7s %u", function, how, &fault->first, &fault->count,
		   whose, &fault->delay) != 6 || !fault->first)
		return -EINVAL;

	fault->value = 0;
	if (!strcmp(how, "all"))
		fault->how = HM_ALL;
	else if (!strcmp(how, "half"))
		fault->how = HM_HALF;
	else if (!strcmp(how, "pass"))
		fault->how = HM_PASS;
	else if (!kstrtol(how, 0, &fault->value))
		fault->how = HM_VALUE;
	else
		return -EINVAL;

	if (!strcmp(whose, "any"))
		fault->whose = HM_ANY;
	else if (!strcmp(whose, "self"))
		fault->whose = HM_SELF;
	else if (!strcmp(whose, "hmem"))
		fault->whose = HM_HMEM;
	else
		return -EINVAL;
	fault->process = current->tgid;
	return 0;
}

/* The kernel calls these two one at a time. */
static int fault_set(const char *text, const struct kernel_param *param)
{
	struct hm_probe *probe;
	struct hm_fault fault;
	char function[64];
	int error;

	if (!*skip_spaces(text)) {
		for_each_probe(probe)
			disarm(probe);
		return 0;
	}
	if (!strcmp(skip_spaces(text), "go\n")) {
		WRITE_ONCE(let_go, true);
		return 0;
	}
	error = parse(text, function, &fault);
	if (error)
		return error;
	probe = probe_on(function);
	if (IS_ERR(probe))
		return PTR_ERR(probe);
	disarm(probe);
	WRITE_ONCE(let_go, false);
	probe->fault = fault;
	atomic_set(&probe->calls, 0);
	atomic_set(&probe->concerned, 0);
	probe->missed = probe->kprobe.nmissed;
	smp_store_release(&probe->active, true);
	return 0;
}

static int fault_get(char *text, const struct kernel_param *param)
{
	struct hm_probe *probe;
	int length = 0;

	for_each_probe(probe) {
		if (probe->active)
			length += sysfs_emit_at(text, length, "%s %d %d %lu\n", probe->function,
						atomic_read(&probe->calls),
						atomic_read(&probe->concerned),
						probe->kprobe.nmissed - probe->missed);
	}
	return length;
}

static const struct kernel_param_ops fault_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = fault_set,
	.get = fault_get,
};
module_param_cb(fault, &fault_ops, NULL, 0600);
MODULE_PARM_DESC(fault, "FUNCTION HOW FIRST COUNT WHOSE DELAY");

static int module_event(struct notifier_block *nb, unsigned long event, void *data)
{
	struct module *module = data;

	if (strcmp(module->name, "hmem"))
		return NOTIFY_DONE;
	if (event == MODULE_STATE_COMING)
		WRITE_ONCE(hmem, module);
	else if (event == MODULE_STATE_GOING)
		WRITE_ONCE(hmem, NULL);
	return NOTIFY_DONE;
}

static struct notifier_block module_events = {
	.notifier_call = module_event,
};

static int __init hm_inject_init(void)
{
	return register_module_notifier(&module_events);
}

static void __exit hm_inject_exit(void)
{
	struct hm_probe *probe;

	for_each_probe(probe)
		unregister_kprobe(&probe->kprobe);
	unregister_module_notifier(&module_events);
}

module_init(hm_inject_init);
module_exit(hm_inject_exit);

MODULE_DESCRIPTION("Fault injection for the tests of hmem.ko");
MODULE_AUTHOR("The hmem authors");
MODULE_LICENSE("GPL");
