/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cuda.c - the decoder for GPUs, lane by lane on the host: the same bytes
 * and the same verdicts as the library's own, whatever is stored, in whichever
 * order lanes run, and no byte touched outside of a chunk
 *
 * usage: test_cuda [FILE.bs]...
 *
 * With files, their chunks are compared and nothing else is tested.
 */

#include "../test.h"
#include "../emulate.h"
#include "../random_chunk.h"

#include <dirent.h>

static struct bs_workspace *ws;

/*
 * Ways to run a chunk: in which order of lanes (up, down, and two in which
 * neighbours are far apart), with its tables in the block's memory or in the
 * model's, into a place that is aligned or one that ends at a guard page.
 */
static const struct {
	unsigned flip;
	bool is_near;
	bool is_low;
} ways[] = {
	{ 0, true, true },  { 31, true, true }, { 21, true, true },
	{ 8, true, false }, { 0, false, true }, { 31, false, false },
};
#define N_WAYS (sizeof(ways) / sizeof(ways[0]))

/* ---- One chunk ---------------------------------------------------------- */

/* The library's verdict is the emulated one's, in all ways; and its bytes. */
static enum bs_result compare(const struct bs_chunk *chunk,
			      const struct bs_blob *blob,
			      const struct bs_model *model,
			      const uint8_t *image, const uint8_t *stored)
{
	struct guarded in = guarded_new(chunk->stored_len);
	struct guarded in_low = guarded_new_low(chunk->stored_len);
	struct guarded out = guarded_new(chunk->raw_len);
	struct guarded out_low = guarded_new_low(chunk->raw_len);
	uint8_t *want = malloc(chunk->raw_len);
	/* Exactly as long, and aligned: for AddressSanitizer. */
	uint8_t *in_heap = malloc(chunk->stored_len);
	const uint8_t *const froms[] = { in.p, in_low.p, in_heap };
	enum bs_result res, got;
	unsigned i;

	assert_true(want && in_heap);
	memcpy(in_heap, stored, chunk->stored_len);
	memcpy(in.p, stored, chunk->stored_len);
	memcpy(in_low.p, stored, chunk->stored_len);
	res = bs_chunk_decode(chunk, blob, model, ws, in.p, want);
	for (i = 0; i < N_WAYS; i++) {
		const uint8_t *from = froms[i % 3];
		uint8_t *to = ways[i].is_low ? out_low.p : out.p;

		bs_lane_flip = ways[i].flip;
		memset(to, 0x5a, chunk->raw_len);
		got = emulate(chunk, blob, image, ways[i].is_near, from, to);
		assert_int_equal(got, res);
		if (res != BS_ERR_CORRUPT)
			assert_memory_equal(to, want, chunk->raw_len);
	}
	bs_lane_flip = 0;
	guarded_free(&in);
	guarded_free(&in_low);
	guarded_free(&out);
	guarded_free(&out_low);
	free(in_heap);
	free(want);
	return res;
}

/* ---- Sums --------------------------------------------------------------- */

static void test_sums(void **state)
{
	struct guarded g = guarded_new(BS_CHUNK_RAW_MAX);
	uint64_t seed = 20;
	uint32_t len;
	size_t i;

	(void)state;
	for (i = 0; i < BS_CHUNK_RAW_MAX; i++)
		g.p[i] = (uint8_t)random_u64(&seed);
	for (len = 0; len <= BS_CHUNK_RAW_MAX;
	     len += len < 3100 ? 1 : len / 7 * 3) {
		const uint8_t *p = g.p + BS_CHUNK_RAW_MAX - len;

		bs_lane_flip = ways[len % N_WAYS].flip;
		assert_int_equal(warp_xxh3_64(p, len), bs_xxh3_64(p, len));
	}
	assert_int_equal(warp_xxh3_64(g.p, BS_CHUNK_RAW_MAX),
			 bs_xxh3_64(g.p, BS_CHUNK_RAW_MAX));
	bs_lane_flip = 0;
	guarded_free(&g);
}

/* ---- Random models ------------------------------------------------------ */

static void test_random_models(void **state)
{
	unsigned codings[4] = { 0 }, units[9] = { 0 }, n = rounds(400), i, k;
	uint64_t seed = 21;

	(void)state;
	for (i = 0; i < n; i++) {
		struct random_chunk c;
		uint8_t *image;

		random_chunk_make(&c, RANDOM_ANY, i % 4 ? 700 : 30000, &seed);
		image = emulate_image(c.model);
		assert_int_equal(compare(&c.chunk, &c.blob, c.model, image,
					 c.stored),
				 BS_OK);
		units[c.model->desc.unit]++;
		for (k = 0; k < c.model->desc.n_planes; k++)
			codings[c.model->desc.planes[k].coding]++;
		c.chunk.raw_sum ^= 1;
		assert_int_equal(compare(&c.chunk, &c.blob, c.model, image,
					 c.stored),
				 BS_ERR_CHECKSUM);
		free(image);
		random_chunk_free(&c);
	}
	for (i = 0; i < 4; i++) {
		assert_true(codings[i] > n / 4);
		assert_true(units[1u << i] > n / 8);
	}
}

/* Flipped bits, overwritten numbers, other lengths and places. */
static void damage(struct random_chunk *c, uint64_t *seed)
{
	uint32_t at = below(seed, c->chunk.stored_len), k;

	/* Most of the structure is in the first bytes. */
	if (below(seed, 2))
		at %= 400;
	at %= c->chunk.stored_len;
	switch (below(seed, 6)) {
	case 0:
		c->chunk.stored_len = 1 + at;
		break;
	case 1:
		for (k = at; k < at + 4 && k < c->chunk.stored_len; k++)
			c->stored[k] = below(seed, 2) ? 0xff : 0;
		break;
	case 2: /* one word more or less */
		if (c->chunk.stored_len >= 4)
			c->stored[0] = (uint8_t)(c->stored[0] + 1 -
						 2 * below(seed, 2));
		break;
	case 3:
		c->chunk.blob_off += c->model->desc.unit * below(seed, 90000);
		break;
	default:
		c->stored[at] ^= (uint8_t)(1u << below(seed, 8));
		break;
	}
}

static void test_damaged_models(void **state)
{
	unsigned n = rounds(150), n_refused = 0, n_wrong = 0, i, k;
	uint64_t seed = 22;

	(void)state;
	for (i = 0; i < n; i++) {
		struct random_chunk c;
		struct bs_chunk was;
		uint8_t *image, *stored;

		random_chunk_make(&c, RANDOM_ANY, i % 4 ? 700 : 3000, &seed);
		image = emulate_image(c.model);
		stored = malloc(c.chunk.stored_len);
		assert_non_null(stored);
		memcpy(stored, c.stored, c.chunk.stored_len);
		was = c.chunk;
		for (k = 0; k < 12; k++) {
			enum bs_result res;

			damage(&c, &seed);
			res = compare(&c.chunk, &c.blob, c.model, image,
				      c.stored);
			n_refused += res == BS_ERR_CORRUPT;
			n_wrong += res == BS_ERR_CHECKSUM;
			c.chunk = was;
			memcpy(c.stored, stored, c.chunk.stored_len);
		}
		free(stored);
		free(image);
		random_chunk_free(&c);
	}
	assert_true(n_refused > n && n_wrong > n / 2);
}

/* Classes that end before the chunk does, and a blob without a width. */
static void test_short_classes(void **state)
{
	uint64_t seed = 23, width;
	unsigned n_seen = 0, i, k;

	(void)state;
	for (i = 0; i < rounds(200); i++) {
		struct random_chunk c;
		uint8_t *image;

		random_chunk_make(&c, RANDOM_ANY, 1000, &seed);
		for (k = 0; k < c.model->desc.n_planes; k++) {
			if (c.model->planes[k].rows.n > 1)
				c.model->planes[k].rows.n--;
			else if (c.model->planes[k].columns.n > 1)
				c.model->planes[k].columns.n--;
			else
				continue;
			image = emulate_image(c.model);
			assert_int_equal(compare(&c.chunk, &c.blob, c.model,
						 image, c.stored),
					 BS_ERR_CORRUPT);
			width = c.blob.width;
			c.blob.width = 0;
			assert_int_equal(compare(&c.chunk, &c.blob, c.model,
						 image, c.stored),
					 BS_ERR_CORRUPT);
			c.blob.width = width;
			free(image);
			n_seen++;
			break;
		}
		random_chunk_free(&c);
	}
	assert_true(n_seen > 20);
}

/* Chunks that end with their words: none is read past the last. */
static void test_words_last(void **state)
{
	uint64_t seed = 25;
	unsigned i;

	(void)state;
	for (i = 0; i < rounds(100); i++) {
		struct random_chunk c;
		uint8_t *image;

		random_chunk_make(&c, RANDOM_CODED, 400, &seed);
		image = emulate_image(c.model);
		assert_int_equal(compare(&c.chunk, &c.blob, c.model, image,
					 c.stored),
				 BS_OK);
		free(image);
		random_chunk_free(&c);
	}
}

/* The first local table of a chunk: where it is in the stored bytes, and how
 * long.  False: there is none. */
static bool find_local(const struct random_chunk *c, size_t *ret_at,
		       size_t *ret_len)
{
	const struct bs_model_desc *d = &c->model->desc;
	struct bs_freq freq;
	unsigned i;

	*ret_at = 4;
	for (i = 0; i < d->n_planes; i++)
		*ret_at += d->planes[i].escape == NO_ESCAPE ? 0 : 4;
	for (i = 0; i < d->n_planes; i++) {
		if (d->planes[i].coding != PLANE_LOCAL)
			continue;
		if (c->stored[*ret_at])
			return !bs_freq_read(&freq, c->stored + *ret_at,
					     c->chunk.stored_len - *ret_at,
					     ret_len);
		++*ret_at;
	}
	return false;
}

/* Every bit of a local table, padding too. */
static void test_local_tables(void **state)
{
	unsigned n_seen = 0, bit;
	uint64_t seed = 26;

	(void)state;
	while (n_seen < rounds(12)) {
		struct random_chunk c;
		uint8_t *image;
		size_t at, len;

		random_chunk_make(&c, RANDOM_ANY, 90, &seed);
		image = emulate_image(c.model);
		if (find_local(&c, &at, &len) && len < 80) {
			for (bit = 0; bit < 8 * len; bit++) {
				uint8_t mask = (uint8_t)(1u << bit % 8);

				c.stored[at + bit / 8] ^= mask;
				compare(&c.chunk, &c.blob, c.model, image,
					c.stored);
				c.stored[at + bit / 8] ^= mask;
			}
			n_seen++;
		}
		free(image);
		random_chunk_free(&c);
	}
}

/* A local table of a plane of W bits that has a symbol of 2^W. */
static void test_wide_tables(void **state)
{
	unsigned n_refused = 0, i;
	uint64_t seed = 27;

	(void)state;
	for (i = 0; i < rounds(60); i++) {
		struct random_chunk c;
		uint8_t *image;

		random_chunk_make(&c, RANDOM_WIDE, 90, &seed);
		image = emulate_image(c.model);
		n_refused += compare(&c.chunk, &c.blob, c.model, image,
				     c.stored) == BS_ERR_CORRUPT;
		free(image);
		random_chunk_free(&c);
	}
	assert_true(n_refused > 10);
}

/* ---- Chunks without planes ---------------------------------------------- */

static void test_plain(void **state)
{
	static const uint32_t lengths[] = { 1, 7, 8, 9, 64, 255, 256, 5001 };
	uint8_t stored[5001];
	struct bs_blob blob = { 0 };
	uint64_t seed = 24;
	unsigned l, n, i, coding;

	(void)state;
	for (i = 0; i < sizeof(stored); i++)
		stored[i] = (uint8_t)random_u64(&seed);
	for (l = 0; l < sizeof(lengths) / sizeof(lengths[0]); l++) {
		for (n = 0; n <= 17; n++) {
			for (coding = BS_CODING_RAW; coding <= 4; coding++) {
				struct bs_chunk c = {
					.raw_len = lengths[l],
					.stored_len = n < 17 ? n : lengths[l],
					.coding = (uint8_t)coding,
					.raw_sum =
						bs_xxh3_64(stored, lengths[l]),
				};

				/* Those are the host's. */
				if (coding == BS_CODING_ZSTD)
					continue;
				compare(&c, &blob, NULL, NULL, stored);
			}
		}
	}
}

/* ---- Containers --------------------------------------------------------- */

/* Compare all chunks of the container at 'path', if it opens; the number that
 * decoded. */
static unsigned compare_file(const char *path)
{
	struct memory m = memory_load(path);
	struct bs_source src = memory_source(&m);
	struct bs_archive *ar;
	struct bs_model *model = NULL;
	struct bs_page *page = NULL;
	uint64_t blob_no = UINT64_MAX, page_no = UINT64_MAX, i;
	uint8_t *image = NULL;
	unsigned n_good = 0;

	if (bs_archive_open(&ar, &src, NULL)) {
		free(m.p);
		return 0;
	}
	for (i = 0; i < bs_archive_n_chunks(ar); i++) {
		struct bs_chunk chunk;
		struct bs_blob blob;

		if (page_no != bs_archive_page_of(ar, i)) {
			bs_page_free(page);
			page = NULL;
			page_no = bs_archive_page_of(ar, i);
			if (bs_page_load(ar, page_no, &page, NULL))
				break;
		}
		bs_page_chunk(ar, page, i, &chunk);
		bs_archive_blob(ar, chunk.blob, &blob);
		if (blob_no != chunk.blob) {
			blob_no = chunk.blob;
			free(image);
			bs_model_free(model);
			image = NULL;
			model = NULL;
			if (blob.model != BS_NO_MODEL &&
			    bs_model_load(ar, blob.model, &model, NULL))
				break;
			image = model ? emulate_image(model) : NULL;
		}
		if (chunk.coding != BS_CODING_ZSTD)
			n_good += !compare(&chunk, &blob, model, image,
					   m.p + chunk.stored_off);
	}
	free(image);
	bs_model_free(model);
	bs_page_free(page);
	bs_archive_close(ar);
	free(m.p);
	return n_good;
}

static unsigned compare_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	const struct dirent *ent;
	unsigned n = 0;
	char path[512];

	assert_non_null(dir);
	while ((ent = readdir(dir)) != NULL) {
		size_t len = strlen(ent->d_name);

		if (len < 4 || strcmp(ent->d_name + len - 3, ".bs") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, ent->d_name);
		n += compare_file(path);
	}
	closedir(dir);
	return n;
}

static void test_golden(void **state)
{
	(void)state;
	assert_true(compare_folder("golden/good") > 50);
	compare_folder("golden/bad");
}

static int setup(void **state)
{
	(void)state;
	return bs_workspace_new(&ws);
}

static int teardown(void **state)
{
	(void)state;
	bs_workspace_free(ws);
	return 0;
}

static char **files;

static void test_files(void **state)
{
	(void)state;
	for (; *files; files++)
		print_message("%s: %u chunks\n", *files, compare_file(*files));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_random_models),
		cmocka_unit_test(test_damaged_models),
		cmocka_unit_test(test_short_classes),
		cmocka_unit_test(test_words_last),
		cmocka_unit_test(test_local_tables),
		cmocka_unit_test(test_wide_tables),
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_golden),
	};
	const struct CMUnitTest with_files[] = {
		cmocka_unit_test(test_files),
	};

	need_kernels();
	files = argv + 1;
	if (argc > 1)
		return cmocka_run_group_tests(with_files, setup, teardown);
	return cmocka_run_group_tests(tests, setup, teardown);
}
