/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache.c - single flight, the budget, eviction, failures, pins, and what
 * is loaded ahead
 */

#include "../test.h"

#include "cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#define KIB 1024u
#define LEN (64 * KIB)

static struct bsfs_entry *get(struct bsfs_cache *c, uint64_t no, int want)
{
	struct bsfs_entry *e;

	assert_int_equal(bsfs_cache_get(c, BSFS_CHUNK, 1, no, LEN, &e), want);
	return e;
}

/* Claim, fill and publish, and let it go. */
static void load(struct bsfs_cache *c, uint64_t no)
{
	struct bsfs_entry *e = get(c, no, BSFS_CLAIMED);

	memset(bsfs_entry_bytes(e), (int)no, LEN);
	bsfs_cache_publish(c, e);
	bsfs_cache_put(c, e);
}

static void test_states(void **state)
{
	struct bsfs_cache *c = bsfs_cache_new(1024 * KIB);
	struct bsfs_entry *e, *again;

	(void)state;
	e = get(c, 7, BSFS_CLAIMED);
	again = get(c, 7, BSFS_LOADING);
	assert_ptr_equal(e, again);
	memset(bsfs_entry_bytes(e), 7, LEN);
	bsfs_cache_publish(c, e);
	assert_int_equal(bsfs_cache_wait(c, again), 0);
	assert_int_equal(bsfs_entry_bytes(again)[LEN - 1], 7);
	bsfs_cache_put(c, e);
	bsfs_cache_put(c, again);
	e = get(c, 7, BSFS_READY);
	/* another file, another number, another kind: another entry */
	assert_int_equal(bsfs_cache_get(c, BSFS_CHUNK, 2, 7, LEN, &again),
			 BSFS_CLAIMED);
	bsfs_cache_fail(c, again, EIO);
	bsfs_cache_put(c, again);
	assert_int_equal(bsfs_cache_get(c, BSFS_PAGE, 1, 7, 0, &again),
			 BSFS_CLAIMED);
	bsfs_cache_fail(c, again, EIO);
	bsfs_cache_put(c, again);
	bsfs_cache_put(c, e);
	bsfs_cache_free(c);
}

static void test_failure_is_not_kept(void **state)
{
	struct bsfs_cache *c = bsfs_cache_new(1024 * KIB);
	struct bsfs_entry *e = get(c, 1, BSFS_CLAIMED);
	struct bsfs_entry *waiter = get(c, 1, BSFS_LOADING);
	struct bsfs_entry *next;

	(void)state;
	bsfs_cache_fail(c, e, EIO);
	/* who looks now claims anew, while the waiter still gets its error */
	next = get(c, 1, BSFS_CLAIMED);
	assert_ptr_not_equal(next, waiter);
	assert_int_equal(bsfs_cache_wait(c, waiter), -EIO);
	bsfs_cache_put(c, e);
	bsfs_cache_put(c, waiter);
	bsfs_cache_publish(c, next);
	bsfs_cache_put(c, next);
	bsfs_cache_put(c, get(c, 1, BSFS_READY));
	bsfs_cache_free(c);
}

static void test_budget(void **state)
{
	struct bsfs_cache *c = bsfs_cache_new(8 * LEN);
	struct bsfs_cache_stats st;
	uint64_t i;

	(void)state;
	for (i = 0; i < 100; i++) {
		load(c, i);
		/* used before every new one, 0 is never the oldest */
		bsfs_cache_put(c, get(c, 0, BSFS_READY));
		bsfs_cache_get_stats(c, &st);
		assert_true(st.used <= 8 * LEN);
	}
	assert_int_equal(st.peak, 8 * LEN);
	assert_int_equal(st.evictions, 92);
	/* the seven that were used last are there, those before are not */
	for (i = 93; i < 100; i++)
		bsfs_cache_put(c, get(c, i, BSFS_READY));
	load(c, 92);
	bsfs_cache_free(c);
}

static void test_pins_outlast_the_budget(void **state)
{
	struct bsfs_cache *c = bsfs_cache_new(2 * LEN);
	struct bsfs_entry *pinned[6];
	struct bsfs_cache_stats st;
	uint64_t i;

	(void)state;
	for (i = 0; i < 6; i++) {
		pinned[i] = get(c, i, BSFS_CLAIMED);
		memset(bsfs_entry_bytes(pinned[i]), (int)i, LEN);
		bsfs_cache_publish(c, pinned[i]);
	}
	for (i = 0; i < 6; i++)
		assert_int_equal(bsfs_entry_bytes(pinned[i])[0], i);
	for (i = 0; i < 6; i++)
		bsfs_cache_put(c, pinned[i]);
	bsfs_cache_get_stats(c, &st);
	assert_true(st.used <= 2 * LEN);
	assert_int_equal(st.peak, 6 * LEN);
	bsfs_cache_free(c);
}

/* What is reserved is the budget's, too: entries give way at once, but not all
 * of them. */
static void test_reserve(void **state)
{
	struct bsfs_cache *c = bsfs_cache_new(8 * LEN);
	struct bsfs_cache_stats st;
	uint64_t i;

	(void)state;
	for (i = 0; i < 8; i++)
		load(c, i);
	bsfs_cache_reserve(c, 3 * LEN, 2 * LEN);
	bsfs_cache_get_stats(c, &st);
	assert_int_equal(st.used, 5 * LEN);
	assert_int_equal(st.reserved, 3 * LEN);
	for (i = 10; i < 20; i++) {
		load(c, i);
		bsfs_cache_get_stats(c, &st);
		assert_int_equal(st.used, 5 * LEN);
	}
	bsfs_cache_reserve(c, 100 * LEN, 2 * LEN);
	bsfs_cache_get_stats(c, &st);
	assert_int_equal(st.used, 2 * LEN);
	load(c, 20);
	bsfs_cache_put(c, get(c, 19, BSFS_READY));
	/* more than there is is less than there is */
	bsfs_cache_reserve(c, 1, 100 * LEN);
	for (i = 30; i < 50; i++)
		load(c, i);
	bsfs_cache_get_stats(c, &st);
	assert_int_equal(st.used, 8 * LEN);
	bsfs_cache_reserve(c, -103 * (int64_t)LEN - 1, 2 * LEN);
	bsfs_cache_get_stats(c, &st);
	assert_int_equal(st.reserved, 0);
	bsfs_cache_free(c);
}

static int n_released;

static void release(void *object)
{
	free(object);
	n_released++;
}

static void test_objects(void **state)
{
	struct bsfs_cache *c = bsfs_cache_new(4 * LEN);
	struct bsfs_cache_stats st;
	struct bsfs_entry *e;
	uint64_t i;

	(void)state;
	n_released = 0;
	for (i = 0; i < 10; i++) {
		assert_int_equal(bsfs_cache_get(c, BSFS_MODEL, 1, i, 0, &e),
				 BSFS_CLAIMED);
		bsfs_cache_publish_object(c, e, malloc(1), LEN, release);
		bsfs_cache_put(c, e);
	}
	bsfs_cache_get_stats(c, &st);
	assert_int_equal(st.used, 4 * LEN);
	assert_int_equal(n_released, 6);
	/* chunks take their place */
	for (i = 0; i < 4; i++)
		load(c, i);
	assert_int_equal(n_released, 10);
	bsfs_cache_free(c);
}

static void test_drop(void **state)
{
	struct bsfs_cache *c = bsfs_cache_new(64 * LEN);
	struct bsfs_cache_stats st;
	struct bsfs_entry *e;
	uint64_t i;

	(void)state;
	for (i = 0; i < 10; i++)
		load(c, i);
	assert_int_equal(bsfs_cache_get(c, BSFS_CHUNK, 2, 0, LEN, &e),
			 BSFS_CLAIMED);
	bsfs_cache_publish(c, e);
	bsfs_cache_put(c, e);
	bsfs_cache_drop(c, 1);
	bsfs_cache_get_stats(c, &st);
	assert_int_equal(st.n_entries, 1);
	load(c, 3);
	bsfs_cache_free(c);
}

/* ---- Threads ------------------------------------------------------------- */

#define N_THREADS 8
#define N_CHUNKS 64
#define N_ROUNDS 3000

struct shared {
	struct bsfs_cache *cache;
	_Atomic int loading[N_CHUNKS]; /* loaders of it at this moment */
	_Atomic int n_wrong;
};

static void read_one(struct shared *s, uint64_t no, int fails)
{
	struct bsfs_entry *e;
	int found = bsfs_cache_get(s->cache, BSFS_CHUNK, 1, no, LEN, &e);
	int ok = 1;

	if (found == BSFS_CLAIMED) {
		s->n_wrong += s->loading[no]++ != 0;
		memset(bsfs_entry_bytes(e), (int)no + 1, LEN);
		s->loading[no]--;
		if (fails) {
			bsfs_cache_fail(s->cache, e, EIO);
			ok = 0;
		} else {
			bsfs_cache_publish(s->cache, e);
		}
	} else if (found == BSFS_LOADING) {
		ok = bsfs_cache_wait(s->cache, e) == 0;
	}
	if (ok)
		s->n_wrong += bsfs_entry_bytes(e)[0] != no + 1 ||
			      bsfs_entry_bytes(e)[LEN - 1] != no + 1;
	bsfs_cache_put(s->cache, e);
}

static void *read_many(void *arg)
{
	struct shared *s = arg;
	uint64_t seed = (uintptr_t)&seed | 1;
	unsigned i;

	for (i = 0; i < rounds(N_ROUNDS); i++) {
		uint64_t r = random_u64(&seed);

		read_one(s, r % N_CHUNKS, (r >> 32) % 50 == 0);
	}
	return NULL;
}

static void test_threads(void **state)
{
	static struct shared s;
	pthread_t threads[N_THREADS];
	struct bsfs_cache_stats st;
	int i;

	(void)state;
	/* Half of the chunks fit. */
	s.cache = bsfs_cache_new(N_CHUNKS / 2 * LEN);
	for (i = 0; i < N_THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, read_many, &s), 0);
	for (i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(s.n_wrong, 0);
	bsfs_cache_get_stats(s.cache, &st);
	assert_int_equal(st.hits + st.misses + st.waits,
			 (uint64_t)N_THREADS * rounds(N_ROUNDS));
	assert_true(st.evictions > 0 && st.failures > 0);
	assert_true(st.peak <= (N_CHUNKS / 2 + N_THREADS) * LEN);
	bsfs_cache_free(s.cache);
}

static void test_ahead(void **state)
{
	struct bsfs_cache *c = bsfs_cache_new(4 * LEN);
	struct bsfs_entry *e, *waiter, *other;
	struct bsfs_cache_stats st;
	uint64_t i;

	(void)state;
	/* claimed once, and not if somebody has it */
	assert_int_equal(bsfs_cache_get_ahead(c, 1, 0, LEN, &e), BSFS_CLAIMED);
	assert_int_equal(bsfs_cache_get_ahead(c, 1, 0, LEN, &other),
			 BSFS_READY);
	assert_int_equal(bsfs_cache_take_ahead(c, 1, 0, &other),
			 BSFS_AHEAD_LOADING);
	assert_int_equal(bsfs_cache_is_awaited(e), 0);
	bsfs_cache_publish(c, e);
	bsfs_cache_put(c, e);
	/* taken once */
	assert_int_equal(bsfs_cache_take_ahead(c, 1, 0, &e), BSFS_AHEAD_READY);
	assert_int_equal(bsfs_cache_take_ahead(c, 1, 0, &other),
			 BSFS_AHEAD_NONE);
	bsfs_cache_put(c, e);
	/* used by who comes while it is loaded */
	assert_int_equal(bsfs_cache_get_ahead(c, 1, 1, LEN, &e), BSFS_CLAIMED);
	waiter = get(c, 1, BSFS_LOADING);
	assert_int_equal(bsfs_cache_take_ahead(c, 1, 1, &other),
			 BSFS_AHEAD_NONE);
	bsfs_cache_fail(c, e, ECANCELED);
	assert_int_equal(bsfs_cache_wait(c, waiter), -ECANCELED);
	bsfs_cache_put(c, e);
	bsfs_cache_put(c, waiter);
	/* not used by anybody */
	assert_int_equal(bsfs_cache_get_ahead(c, 1, 2, LEN, &e), BSFS_CLAIMED);
	bsfs_cache_publish(c, e);
	bsfs_cache_put(c, e);
	for (i = 10; i < 14; i++)
		load(c, i);
	bsfs_cache_get_stats(c, &st);
	assert_int_equal(st.ahead, 3);
	assert_int_equal(st.ahead_used, 2);
	assert_int_equal(st.ahead_unused, 1);
	bsfs_cache_free(c);
}

/* Where requests hold all, nothing is claimed for later. */
static void test_ahead_has_no_room(void **state)
{
	struct bsfs_cache *c = bsfs_cache_new(2 * LEN);
	struct bsfs_entry *held[2], *e;

	(void)state;
	held[0] = get(c, 0, BSFS_CLAIMED);
	held[1] = get(c, 1, BSFS_CLAIMED);
	assert_int_equal(bsfs_cache_get_ahead(c, 1, 2, LEN, &e), BSFS_READY);
	bsfs_cache_publish(c, held[0]);
	bsfs_cache_put(c, held[0]);
	assert_int_equal(bsfs_cache_get_ahead(c, 1, 2, LEN, &e), BSFS_CLAIMED);
	bsfs_cache_publish(c, e);
	bsfs_cache_put(c, e);
	bsfs_cache_publish(c, held[1]);
	bsfs_cache_put(c, held[1]);
	bsfs_cache_free(c);
}

/* Of chunks that were read from end to end an eighth of the budget is kept, and
 * they go first. */
static void test_read_chunks_go(void **state)
{
	struct bsfs_cache *c = bsfs_cache_new(16 * LEN);
	struct bsfs_cache_stats st;
	struct bsfs_entry *e;
	uint64_t i;

	(void)state;
	load(c, 100); /* not read */
	for (i = 0; i < 10; i++) {
		load(c, i);
		e = get(c, i, BSFS_READY);
		bsfs_cache_put_read(c, e, LEN / 2);
		e = get(c, i, BSFS_READY);
		bsfs_cache_put_read(c, e, LEN / 2);
	}
	bsfs_cache_get_stats(c, &st);
	assert_int_equal(st.n_entries, 3);
	/* their buffers are used again */
	assert_int_equal(st.peak, 4 * LEN);
	bsfs_cache_put(c, get(c, 8, BSFS_READY));
	bsfs_cache_put(c, get(c, 9, BSFS_READY));
	/* the oldest of all outlasts them */
	for (i = 20; i < 35; i++)
		load(c, i);
	bsfs_cache_put(c, get(c, 100, BSFS_READY));
	e = get(c, 9, BSFS_CLAIMED);
	bsfs_cache_fail(c, e, EIO);
	bsfs_cache_put(c, e);
	bsfs_cache_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_failure_is_not_kept),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_pins_outlast_the_budget),
		cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_drop),
		cmocka_unit_test(test_read_chunks_go),
		cmocka_unit_test(test_ahead),
		cmocka_unit_test(test_ahead_has_no_room),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
