/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_open.c - what is read of a large container: to open it, its directory
 * once; for 4 KiB of it, one index page, one model's page and one chunk
 */

#include "../test.h"

#include "../large.h"

/* A container in memory that counts what is asked of it. */
struct counted {
	struct memory mem;
	uint64_t n_reads;
	uint64_t n_bytes;
	uint64_t lowest; /* where a read after the first began */
};

static int counted_pread(void *ctx, void *buf, size_t len, uint64_t off)
{
	struct counted *c = ctx;

	if (c->n_reads++ && off < c->lowest)
		c->lowest = off;
	c->n_bytes += len;
	return memory_pread(&c->mem, buf, len, off);
}

static void counted_reset(struct counted *c)
{
	c->n_reads = c->n_bytes = 0;
	c->lowest = UINT64_MAX;
}

/* Half a million times: into memory that is there. */
static int large_pwrite(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct memory *m = ctx;

	assert_true(off + len <= (UINT64_C(1) << 30));
	memcpy(m->p + off, buf, len);
	m->len = off + len > m->len ? off + len : m->len;
	return 0;
}

static struct counted box;
static struct large *large;
static struct bs_archive *ar;
static struct bs_workspace *ws;

static int set_up(void **state)
{
	struct bs_sink sink = { large_pwrite, &box.mem };
	struct bs_source src = { .pread = counted_pread, .ctx = &box };
	uint64_t len;

	(void)state;
	/* Pages that are not touched take nothing. */
	box.mem.p = mmap(NULL, 1 << 30, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(box.mem.p != MAP_FAILED);
	assert_int_equal(large_write(&sink, &large, &len), BS_OK);
	assert_int_equal(len, box.mem.len);
	counted_reset(&box);
	src.size = len;
	assert_int_equal(bs_archive_open(&ar, &src, NULL), BS_OK);
	assert_int_equal(bs_workspace_new(&ws), BS_OK);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	bs_workspace_free(ws);
	bs_archive_close(ar);
	free(large);
	munmap(box.mem.p, 1 << 30);
	return 0;
}

/* Blobs, extents and page records, read once; no page, no chunk. */
static void test_open(void **state)
{
	uint64_t n_pages = bs_archive_n_pages(ar), directory;

	(void)state;
	assert_int_equal(bs_archive_summary(ar)->size, LARGE_LEN);
	assert_true(bs_archive_n_chunks(ar) > 500000);
	assert_true(n_pages > 1000);
	directory = box.mem.len - box.lowest;
	printf("open: %llu reads, %llu bytes of %zu, for %llu chunks\n",
	       (unsigned long long)box.n_reads, (unsigned long long)box.n_bytes,
	       box.mem.len, (unsigned long long)bs_archive_n_chunks(ar));
	assert_true(directory <= 128 * (LARGE_TENSORS + 8) + 24 * 2 * n_pages);
	assert_true(box.n_bytes <= 4096 + directory);
	assert_true(box.n_reads <= 6);
	assert_true(bs_archive_mem(ar) <= directory + 4096);
}

static void read_4k(uint64_t off)
{
	static uint8_t raw[BS_CHUNK_RAW_MAX], want[4096];
	struct bs_member m;
	struct bs_extent e;
	struct bs_blob b;
	struct bs_page *page;
	struct bs_chunk chunk;
	struct bs_model *model = NULL;
	uint64_t at;

	bs_archive_member(ar, 0, &m);
	bs_archive_extent(ar, bs_member_extent_at(ar, &m, off), &e);
	assert_true(e.off <= off && off + 4096 <= e.off + e.len);
	bs_archive_blob(ar, e.blob, &b);
	at = off - e.off + e.blob_off;
	chunk.no = bs_blob_chunk_at(&b, at);
	assert_int_equal(chunk.no, bs_blob_chunk_at(&b, at + 4095));

	counted_reset(&box);
	assert_int_equal(bs_page_load(ar, bs_archive_page_of(ar, chunk.no),
				      &page, NULL),
			 BS_OK);
	assert_int_equal(box.n_reads, 1);
	assert_true(box.n_bytes <= 16384);
	bs_page_chunk(ar, page, chunk.no, &chunk);
	assert_int_equal(chunk.blob, e.blob);
	if (chunk.coding == BS_CODING_PLANES) {
		counted_reset(&box);
		assert_int_equal(bs_model_load(ar, b.model, &model, NULL),
				 BS_OK);
		assert_int_equal(box.n_reads, 1);
		assert_true(box.n_bytes <= 131072);
	}
	assert_int_equal(bs_chunk_decode(&chunk, &b, model, ws,
					 box.mem.p + chunk.stored_off, raw),
			 BS_OK);
	at -= chunk.blob_off;
	large_expect(large, e.blob - 1, chunk.no, chunk.no - b.first_chunk, at,
		     want, sizeof(want));
	assert_memory_equal(raw + at, want, sizeof(want));
	bs_model_free(model);
	bs_page_free(page);
}

/* A page of the file that lies in one tensor lies in one chunk, and what is
 * needed for that chunk is one page of the index and one with its model. */
static void test_4k(void **state)
{
	uint64_t seed = 3, off, i;

	(void)state;
	for (i = 0; i < 2000; i++) {
		off = random_u64(&seed) % (LARGE_LEN / 4096) * 4096;
		if (off < LARGE_HEADER_LEN ||
		    (off - LARGE_HEADER_LEN) % LARGE_TENSOR_LEN + 4096 >
			    LARGE_TENSOR_LEN)
			continue;
		read_4k(off);
	}
	/* The chunks in planes. */
	for (i = 0; i < LARGE_TENSORS; i += LARGE_CODED_EVERY) {
		off = LARGE_HEADER_LEN + i * LARGE_TENSOR_LEN;
		read_4k((off / 262144 + 1) * 262144 +
			random_u64(&seed) % 64 * 4096);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_4k),
	};

	need_kernels();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
