/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planner.c - what of a model runs on a machine, and what has to be said of it
 *
 * The most faithful member that is usable, with as many layers in memory as
 * there is room for.  Whatever is below bit-exact is announced: tell_member() is
 * the only place that says what a member is, and choices come from pick()
 * alone.
 */

#include "planner.h"

#include <stdio.h>
#include <string.h>

#include "cmd.h"

/* Slower than this, and a less faithful member is better than none. */
#define USABLE 1.0 /* tokens a second */

/* What the kernel takes for a byte that comes through a mount, besides decoding
 * it: seconds, on one processor of those that docs/performance.md is about. */
#define FUSE_SECONDS 0.43e-9

static const char *const member_names[BST_N_MEMBERS] = {
	"the original weights",
	"the INT4 weights",
};

/* ---- Speed --------------------------------------------------------------- */

static double between(double one, double all, unsigned n, unsigned n_all)
{
	if (n >= n_all || n_all < 2)
		return n < 2 ? one : all;
	return one + (all - one) * (n - 1) / (n_all - 1);
}

/* Of so many threads: between that of one and that of all. */
static void speed_of(const struct bsx_profile *p, unsigned n_threads,
		     struct bsx_speed *ret)
{
	const struct bsx_speed *one = &p->speed[BSX_ALONE];
	const struct bsx_speed *all = &p->speed[BSX_TOGETHER];
	unsigned i;

	ret->read = between(one->read, all->read, n_threads, p->n_cpus);
	for (i = 0; i < BSX_N_WEIGHT_TYPES; i++)
		ret->product[i] = between(one->product[i], all->product[i],
					  n_threads, p->n_cpus);
	ret->round = between(one->round, all->round, n_threads, p->n_cpus);
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

/* The type that most of the weights are. */
static unsigned main_type(const struct bsx_work *w)
{
	unsigned best = 0, i;

	for (i = 1; i < BSX_N_WEIGHT_TYPES; i++) {
		if (w->bytes[i] > w->bytes[best])
			best = i;
	}
	return best;
}

/* Seconds for a token halfway through what there is room for: of computing, and
 * of reading at the same time what is not in memory. */
static double seconds_of(const struct bst_case *c,
			 const struct bst_member_facts *m,
			 const struct bst_way_facts *way)
{
	const struct bsx_profile *p = c->profile;
	double pass = (double)way->plan.pass_bytes, stored, cpu, io, compute;
	double decode = p->decode[BSX_ALONE][main_type(&m->work)];
	unsigned n = c->n_threads < p->n_cpus ? c->n_threads : p->n_cpus;
	struct bsx_speed speed;

	speed_of(p, c->n_threads, &speed);
	compute = bsx_work_seconds(&m->work, &speed, c->n_context / 2);
	if (!way->plan.pass_bytes)
		return compute;
	stored = m->weight_bytes ? pass * ((double)m->stored_bytes /
					   (double)m->weight_bytes)
				 : pass;
	/* Out of the kernel's cache: read, and written. */
	cpu = 2 * pass / p->speed[BSX_ALONE].read;
	if (c->source == BST_FROM_MOUNT)
		cpu += pass * (FUSE_SECONDS + 1 / decode);
	io = c->disk_rate > 0 ? stored / c->disk_rate : 0;
	/* A processor that decodes does not multiply meanwhile. */
	return larger(larger(compute, io),
		      (compute * n + cpu) / (double)p->n_cpus);
}

/* ---- Choosing ------------------------------------------------------------ */

static int has_room(const struct bst_case *c, const struct bst_way_facts *way)
{
	return !way->why_not && way->bytes <= c->room;
}

/* The way that a member goes, or BST_N_WAYS if it cannot. */
static enum bst_way way_of(const struct bst_case *c,
			   const struct bst_member_facts *m)
{
	if (!m->is_there)
		return BST_N_WAYS;
	if (!c->streams && has_room(c, &m->ways[BST_WHOLE]))
		return BST_WHOLE;
	if (c->is_plain)
		return BST_N_WAYS;
	if (!c->streams && has_room(c, &m->ways[BST_PARTLY]))
		return BST_PARTLY;
	return has_room(c, &m->ways[BST_STREAMED]) ? BST_STREAMED : BST_N_WAYS;
}

/* Why a member cannot go any way. */
static void refuse_room(const struct bst_case *c,
			const struct bst_member_facts *m,
			struct bst_choice *ret)
{
	char size[BST_SIZE_LEN], room[BST_SIZE_LEN];
	enum bst_way way = c->is_plain ? BST_WHOLE : BST_STREAMED;
	const struct bst_way_facts *f = &m->ways[way];

	ret->code = BST_EXIT_REFUSED;
	if (f->why_not)
		snprintf(ret->refusal, sizeof(ret->refusal), "%s", f->why_not);
	else
		snprintf(ret->refusal, sizeof(ret->refusal),
			 "%s it takes %s of memory, and there is room for %s%s",
			 c->is_plain ? "with all weights in memory"
				     : "a layer at a time",
			 bst_size(size, f->bytes), bst_size(room, c->room),
			 c->is_plain ? "; --resident auto reads layers anew."
				     : ".");
}

static void refuse_absent(struct bst_choice *ret, const char *why)
{
	ret->code = BST_EXIT_USAGE;
	snprintf(ret->refusal, sizeof(ret->refusal), "%s", why);
}

/* The member that runs, and in 'why' for what reason if it is not the most
 * faithful one that a model can have. */
static void pick(const struct bst_case *c, struct bst_choice *ret, char *why,
		 size_t len)
{
	const struct bst_member_facts *first = &c->members[BST_ORIGINAL];
	const struct bst_member_facts *second = &c->members[BST_INT4];
	enum bst_way original = way_of(c, first), int4 = way_of(c, second);
	double rate = original < BST_N_WAYS
			      ? ret->tokens_per_s[BST_ORIGINAL][original]
			      : 0;

	ret->member = BST_ORIGINAL;
	ret->way = original;
	if (c->mode == BST_MODE_FAST && !second->is_there) {
		refuse_absent(ret, "this model has no fast member: --mode fast "
				   "runs the INT4 weights of a .bsd.");
		return;
	}
	if (c->mode == BST_MODE_PERFECT && !first->is_there) {
		refuse_absent(ret, "these are INT4 weights alone: the original "
				   "ones are not here.");
		return;
	}
	if (c->mode == BST_MODE_FAST)
		snprintf(why, len, "--mode fast asks for them");
	else if (!first->is_there)
		snprintf(why, len, "there are no others here");
	else if (c->mode == BST_MODE_PERFECT || int4 == BST_N_WAYS)
		int4 = BST_N_WAYS;
	else if (original == BST_N_WAYS)
		snprintf(why, len, "the original ones have no room in memory");
	else if (rate < USABLE && ret->tokens_per_s[BST_INT4][int4] >= USABLE)
		snprintf(why, len,
			 "the original ones would give about %.2f tokens/s",
			 rate);
	else
		int4 = BST_N_WAYS;
	if (*why) {
		ret->member = BST_INT4;
		ret->way = int4;
	}
	if (ret->way == BST_N_WAYS)
		refuse_room(c, &c->members[ret->member], ret);
}

/* ---- Saying -------------------------------------------------------------- */

/* How faithful a member is, in the sentence; and the announcement, if that is
 * less than bit-exact. */
static const char *tell_member(struct bst_choice *ret, const char *why)
{
	if (ret->member == BST_ORIGINAL)
		return "bit-exact";
	snprintf(ret->announcement, sizeof(ret->announcement),
		 "NOTE: INT4 weights run, which are not the original ones but "
		 "close to them: %s.",
		 why);
	return "INT4, not the original weights";
}

/* "12 of 30 layers in memory, the rest (162.1 MB) read anew for each token" */
static void word_holding(const struct bst_member_facts *m, int is_original,
			 const struct bsx_plan *plan, char *buf, size_t len)
{
	char size[BST_SIZE_LEN];

	if (!plan->pass_bytes)
		snprintf(buf, len, "in memory as %s (%s)",
			 is_original ? "they are stored" : "BF16",
			 bst_size(size, m->weight_bytes));
	else
		snprintf(buf, len,
			 "%u of %u layers in memory, the rest (%s) read anew "
			 "for each token",
			 (unsigned)plan->n_kept, (unsigned)m->n_layers,
			 bst_size(size, plan->pass_bytes));
}

/* Digits that mean something. */
static const char *word_rate(char *buf, size_t len, double rate)
{
	snprintf(buf, len, "%.*f", rate < 1 ? 2 : rate < 10 ? 1 : 0, rate);
	return buf;
}

static void say(const struct bst_case *c, struct bst_choice *ret,
		const char *why)
{
	const struct bst_member_facts *m = &c->members[ret->member];
	const struct bst_way_facts *way = &m->ways[ret->way];
	const char *faithful = tell_member(ret, why);
	char holding[160], rate[32], all[BST_SIZE_LEN];

	word_holding(m, ret->member == BST_ORIGINAL, &way->plan, holding,
		     sizeof(holding));
	snprintf(ret->sentence, sizeof(ret->sentence),
		 "%s, %.1f million weights, %s, %s, %s, %u thread%s, about %s "
		 "tokens/s; at most %s of memory.",
		 c->arch, (double)c->n_weights / 1e6, holding,
		 c->source == BST_FROM_MOUNT ? "through a mount"
					     : "from plain files",
		 faithful, c->n_threads, c->n_threads == 1 ? "" : "s",
		 word_rate(rate, sizeof(rate),
			   ret->tokens_per_s[ret->member][ret->way]),
		 bst_size(all, way->bytes));
}

/* Of a member and a way that could be: what it takes, and why it is not what
 * runs. */
static void consider(const struct bst_case *c, struct bst_choice *ret,
		     enum bst_member member, enum bst_way way)
{
	static const char *const ways[BST_N_WAYS] = {
		"all layers in memory",
		"as many layers in memory as there is room for",
		"no layer in memory",
	};
	const struct bst_way_facts *f = &c->members[member].ways[way];
	char *line = ret->considered[ret->n_considered++];
	size_t len = sizeof(ret->considered[0]);
	char size[BST_SIZE_LEN], rate[32];
	const char *not_asked =
		(c->mode == BST_MODE_PERFECT && member != BST_ORIGINAL) ||
				(c->mode == BST_MODE_FAST && member != BST_INT4)
			? "--mode excludes it"
		: c->streams && way != BST_STREAMED ? "--stream excludes it"
		: c->is_plain && way != BST_WHOLE
			? "--resident plain excludes it"
			: NULL;

	/* It would be another way over again. */
	if (way == BST_PARTLY && !f->why_not && !f->plan.pass_bytes) {
		ret->n_considered--;
		return;
	}
	if (f->why_not) {
		snprintf(line, len, "%s, %s: there is no room.",
			 member_names[member], ways[way]);
		return;
	}
	snprintf(line, len, "%s, %s: %s of memory, about %s tokens/s; %s.",
		 member_names[member], ways[way], bst_size(size, f->bytes),
		 word_rate(rate, sizeof(rate), ret->tokens_per_s[member][way]),
		 !ret->code && member == ret->member && way == ret->way
			 ? "this is what runs"
		 : not_asked	   ? not_asked
		 : !has_room(c, f) ? "there is no room"
		 : member != ret->member
			 ? (member == BST_INT4 ? "less faithful" : "too slow")
			 : "slower");
}

void bst_choose(const struct bst_case *c, struct bst_choice *ret)
{
	char why[128] = "";
	unsigned m, w;

	memset(ret, 0, sizeof(*ret));
	for (m = 0; m < BST_N_MEMBERS; m++) {
		const struct bst_member_facts *f = &c->members[m];

		for (w = 0; f->is_there && w < BST_N_WAYS; w++) {
			double s = f->ways[w].why_not
					   ? 0
					   : seconds_of(c, f, &f->ways[w]);

			ret->tokens_per_s[m][w] = s > 0 ? 1 / s : 0;
		}
	}
	pick(c, ret, why, sizeof(why));
	if (!ret->code)
		say(c, ret, why);
	for (m = 0; m < BST_N_MEMBERS; m++) {
		for (w = 0; c->members[m].is_there && w < BST_N_WAYS; w++)
			consider(c, ret, m, w);
	}
}
