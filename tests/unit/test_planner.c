/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_planner.c - nothing below bit-exact happens unannounced: every machine x
 * kind of model x what was asked for
 *
 * Besides: what is chosen is there, has room, and is what was asked for.
 * tests/cli/planner_mutants.sh breaks the planner, and this has to see it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above first. */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "planner.h"

#define GB ((uint64_t)1000000000)

/* ---- Machines ------------------------------------------------------------ */

static const unsigned n_cpus[] = { 1, 2, 64 };
static const double speeds[] = { 1e7, 1e9, 2e10, 1e12 }; /* bytes a second */
static const double disks[] = { 0, 1e7, 2e9 };

static void make_profile(struct bsx_profile *p, unsigned cpus, double speed)
{
	unsigned crew, i;

	memset(p, 0, sizeof(*p));
	p->n_cpus = cpus;
	for (crew = 0; crew < BSX_N_CREWS; crew++) {
		double all = crew == BSX_ALONE ? speed : speed * cpus;

		p->speed[crew].read = all;
		for (i = 0; i < BSX_N_WEIGHT_TYPES; i++)
			p->speed[crew].product[i] = all;
		for (i = 0; i < BSX_N_DECODED; i++)
			p->decode[crew][i] = all / 10;
		p->speed[crew].round = 1e-6;
	}
}

/* ---- Models -------------------------------------------------------------- */

static const uint64_t rooms[] = { GB / 10, GB, 5 * GB, 40 * GB };

/* Which ways the engine can go with a member. */
enum ability { NO_WAY, ONLY_STREAMED, NOT_WHOLE, ANY_WAY, N_ABILITIES };

static void make_member(struct bst_member_facts *m, uint64_t bytes,
			enum ability ability, uint64_t room)
{
	static const char why_not[] = "there is room for nothing.";
	uint64_t layer = bytes / 30;

	memset(m, 0, sizeof(*m));
	m->is_there = 1;
	m->weight_bytes = bytes;
	m->stored_bytes = bytes * 2 / 3;
	m->n_layers = 30;
	m->work.bytes[0] = bytes;
	m->work.bytes_held = 100000;
	m->work.n_rounds = 181;
	m->ways[BST_WHOLE] = (struct bst_way_facts){
		.plan = { 30, 0, bytes },
		.bytes = bytes + GB / 100,
	};
	m->ways[BST_PARTLY] = (struct bst_way_facts){
		.plan = { 15, 15 * layer, bytes / 2 },
		.bytes = bytes / 2 < room ? bytes / 2 : room,
	};
	m->ways[BST_STREAMED] = (struct bst_way_facts){
		.plan = { 0, 30 * layer, 2 * layer },
		.bytes = 2 * layer,
	};
	if (ability < ANY_WAY)
		m->ways[BST_WHOLE].why_not = why_not;
	if (ability < NOT_WHOLE)
		m->ways[BST_PARTLY].why_not = why_not;
	if (ability < ONLY_STREAMED)
		m->ways[BST_STREAMED].why_not = why_not;
}

/* ---- What must hold ------------------------------------------------------ */

static int has(const char *text, const char *word)
{
	return strstr(text, word) != NULL;
}

/* What of a choice is said, in the two lines that stand before everything. */
static void check_words(const struct bst_choice *r)
{
	assert_null(strchr(r->announcement, '\n'));
	assert_null(strchr(r->sentence, '\n'));
	if (r->code) {
		assert_true(*r->refusal);
		assert_false(*r->sentence);
		assert_false(*r->announcement);
		return;
	}
	assert_false(*r->refusal);
	assert_true(has(r->sentence, "tokens/s"));
	if (r->member == BST_ORIGINAL) {
		assert_false(*r->announcement);
		assert_true(has(r->sentence, "bit-exact"));
		assert_false(has(r->sentence, "INT4"));
	} else {
		assert_true(has(r->announcement, "INT4"));
		assert_true(has(r->announcement, "not the original"));
		assert_true(has(r->sentence, "INT4, not the original"));
		assert_false(has(r->sentence, "bit-exact"));
	}
}

static int can_go(const struct bst_case *c, enum bst_member member,
		  enum bst_way way)
{
	const struct bst_member_facts *m = &c->members[member];

	return m->is_there && !m->ways[way].why_not &&
	       m->ways[way].bytes <= c->room &&
	       (!c->is_plain || way == BST_WHOLE) &&
	       (!c->streams || way == BST_STREAMED);
}

/* Tokens a second of the fullest way that a member can go; negative: none. */
static double best_rate(const struct bst_case *c, const struct bst_choice *r,
			enum bst_member member)
{
	enum bst_way way;

	for (way = 0; way < BST_N_WAYS; way++) {
		if (can_go(c, member, way))
			return r->tokens_per_s[member][way];
	}
	return -1;
}

static void check_choice(const struct bst_case *c, const struct bst_choice *r)
{
	double original = best_rate(c, r, BST_ORIGINAL);
	double int4 = best_rate(c, r, BST_INT4);

	if (r->code) {
		/* What was asked for is not there, or goes no way. */
		assert_true(c->mode == BST_MODE_FAST || original < 0);
		assert_true(c->mode == BST_MODE_PERFECT || int4 < 0);
		return;
	}
	assert_true(can_go(c, r->member, r->way));
	if (c->mode == BST_MODE_PERFECT)
		assert_int_equal(r->member, BST_ORIGINAL);
	if (c->mode == BST_MODE_FAST)
		assert_int_equal(r->member, BST_INT4);
	/* Less faithful only where it was asked for, or is of use. */
	if (c->mode == BST_MODE_BEST && original >= 1)
		assert_int_equal(r->member, BST_ORIGINAL);
	if (c->mode == BST_MODE_BEST && r->member == BST_INT4)
		assert_true(original < 0 || int4 >= 1);
}

static unsigned n_lines(const struct bst_choice *r, const char *word)
{
	unsigned n = 0;
	size_t i;

	for (i = 0; i < r->n_considered; i++)
		n += has(r->considered[i], word);
	return n;
}

static void check_considered(const struct bst_case *c,
			     const struct bst_choice *r)
{
	unsigned m;

	assert_int_equal(n_lines(r, "this is what runs"), r->code ? 0 : 1);
	for (m = 0; m < BST_N_MEMBERS; m++) {
		const char *word = m == BST_ORIGINAL ? "original" : "INT4";

		assert_int_equal(n_lines(r, word) > 0, c->members[m].is_there);
	}
}

/* ---- The sweep ----------------------------------------------------------- */

static unsigned long n_cases, n_int4, n_refused;

static void check_case(const struct bst_case *c)
{
	static struct bst_choice r;

	bst_choose(c, &r);
	check_words(&r);
	check_choice(c, &r);
	check_considered(c, &r);
	n_cases++;
	n_int4 += !r.code && r.member == BST_INT4;
	n_refused += r.code != 0;
}

/* Everything that can be asked for. */
static void check_wishes(struct bst_case *c)
{
	unsigned threads;

	for (threads = 1; threads <= 8; threads *= 8) {
		c->n_threads = threads;
		for (c->mode = 0; c->mode < BST_N_MODES; c->mode++) {
			c->streams = c->is_plain = 0;
			check_case(c);
			c->streams = 1;
			check_case(c);
			c->streams = 0;
			c->is_plain = 1;
			check_case(c);
		}
	}
}

/* Everything that a model can be: the original alone, with INT4, INT4 alone. */
static void check_models(struct bst_case *c)
{
	enum ability first, second;
	unsigned kind, i;

	for (i = 0; i < 3 * N_ABILITIES * N_ABILITIES; i++) {
		kind = i % 3;
		first = i / 3 % N_ABILITIES;
		second = i / 3 / N_ABILITIES;
		memset(c->members, 0, sizeof(c->members));
		if (kind < 2)
			make_member(&c->members[BST_ORIGINAL], 20 * GB, first,
				    c->room);
		if (kind > 0)
			make_member(&c->members[BST_INT4], 6 * GB, second,
				    c->room);
		for (c->source = 0; c->source < BST_N_ORIGINS; c->source++)
			check_wishes(c);
	}
}

static void test_sweep(void **state)
{
	struct bst_case c = { .arch = "llama",
			      .n_weights = 10 * GB,
			      .n_context = 4096 };
	struct bsx_profile profile;
	unsigned cpus, speed, disk, room;

	(void)state;
	c.profile = &profile;
	for (cpus = 0; cpus < 3; cpus++) {
		for (speed = 0; speed < 4; speed++) {
			make_profile(&profile, n_cpus[cpus], speeds[speed]);
			for (disk = 0; disk < 3; disk++) {
				c.disk_rate = disks[disk];
				for (room = 0; room < 4; room++) {
					c.room = rooms[room];
					check_models(&c);
				}
			}
		}
	}
	print_message("%lu cases: %lu INT4, %lu refused\n", n_cases, n_int4,
		      n_refused);
	/* A sweep that meets nothing shows nothing. */
	assert_true(n_int4 > n_cases / 20);
	assert_true(n_refused > n_cases / 20);
	assert_true(n_int4 + n_refused < n_cases * 9 / 10);
}

/* ---- Speed --------------------------------------------------------------- */

static void test_speed(void **state)
{
	struct bst_case c = { .arch = "llama",
			      .n_context = 0,
			      .n_threads = 2,
			      .room = 100 * GB };
	struct bsx_profile profile;
	struct bst_choice r;
	double rate;

	(void)state;
	make_profile(&profile, 2, 1e10);
	profile.speed[BSX_ALONE].round = profile.speed[BSX_TOGETHER].round = 0;
	c.profile = &profile;
	make_member(&c.members[BST_ORIGINAL], 2 * GB, ANY_WAY, c.room);
	/* 2 GB at 20 GB/s, at 10 GB/s, and with four threads on two CPUs. */
	bst_choose(&c, &r);
	rate = r.tokens_per_s[BST_ORIGINAL][BST_WHOLE];
	assert_true(rate > 9.99 && rate < 10.01);
	c.n_threads = 1;
	bst_choose(&c, &r);
	rate = r.tokens_per_s[BST_ORIGINAL][BST_WHOLE];
	assert_true(rate > 4.99 && rate < 5.01);
	c.n_threads = 4;
	bst_choose(&c, &r);
	rate = r.tokens_per_s[BST_ORIGINAL][BST_WHOLE];
	assert_true(rate > 9.99 && rate < 10.01);
	c.members[BST_ORIGINAL].stored_bytes = 2 * GB;
	/* From a disk of 1 GB/s, 2 GB for each token; two thirds of it in
	 * containers, which one can decode at 1 GB/s meanwhile. */
	c.disk_rate = 1e9;
	bst_choose(&c, &r);
	rate = r.tokens_per_s[BST_ORIGINAL][BST_STREAMED];
	assert_true(rate > 0.49 && rate < 0.51);
	c.source = BST_FROM_MOUNT;
	c.members[BST_ORIGINAL].stored_bytes = 4 * GB / 3;
	bst_choose(&c, &r);
	rate = r.tokens_per_s[BST_ORIGINAL][BST_STREAMED];
	assert_true(rate > 0.55 && rate < 0.76);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_speed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
