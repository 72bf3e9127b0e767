/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_chunk.c - any bytes as a model, and any as a chunk coded with it
 *
 * Input: 24 bytes that place the chunk (below), the pool page with the model
 * and its tables, the stored bytes.  A well-formed container is built around
 * them, so that only the model and the chunk are hostile.  Whatever they decode
 * to, they do so twice alike, and alike in scratch memory never used before, and
 * alike by the decoder for GPUs.
 */

#include "container.h"

#include "../emulate.h"

/* Fields of the input. */
enum {
	IN_CODING = 0,
	IN_DTYPE = 1,
	IN_WIDTH = 4,
	IN_RAW_LEN = 8,
	IN_BEFORE = 12,
	IN_MODEL = 16,
	IN_POOL_LEN = 20,
	IN_LEN = 24,
};

#define CHUNK_SIZE (1u << CHUNK_SIZE_LOG2_MAX)

static int parse(struct one_chunk *c, const uint8_t *data, size_t size)
{
	uint32_t raw_max = CHUNK_SIZE, pool_len;

	memset(c, 0, sizeof(*c));
	if (size < IN_LEN + 2)
		return 0;
	c->coding = data[IN_CODING] & 3;
	c->dtype = data[IN_DTYPE] % BS_DTYPE_N;
	c->width = load32(data + IN_WIDTH);
	c->before = load32(data + IN_BEFORE) % (CHUNK_SIZE + 8);
	c->model = load32(data + IN_MODEL);
	if (c->model == UINT32_MAX)
		c->model = NO_REFERENCE;
	pool_len = load32(data + IN_POOL_LEN);
	data += IN_LEN;
	size -= IN_LEN;
	c->pool = data;
	c->pool_len = pool_len && pool_len < size ? pool_len : 1;
	c->stored = data + c->pool_len;
	size -= c->pool_len;
	if (!c->before)
		raw_max += 7;
	c->stored_len = (uint32_t)(size < raw_max ? size : raw_max);
	c->raw_len = load32(data - IN_LEN + IN_RAW_LEN) % raw_max + 1;
	if (c->raw_len < c->stored_len)
		c->raw_len = c->stored_len;
	return 1;
}

/* The same verdict in two orders of lanes, with tables near and far; and
 * the bytes of raw[0]. */
static void decode_by_warp(const struct bs_chunk *c, const struct bs_blob *blob,
			   const struct bs_model *model, const uint8_t *stored,
			   uint8_t *const raw[2], enum bs_result res)
{
	uint8_t *image = model ? emulate_image(model) : NULL;
	unsigned way;

	for (way = 0; way < 2; way++) {
		bs_lane_flip = way ? 31 : 0;
		memset(raw[1], 0x5a, c->raw_len);
		MUST(emulate(c, blob, image, way, stored, raw[1]) == res);
		if (res != BS_ERR_CORRUPT)
			MUST(!memcmp(raw[0], raw[1], c->raw_len));
	}
	free(image);
}

static void decode_twice(const struct bs_chunk *c, const struct bs_blob *blob,
			 const struct bs_model *model, const uint8_t *bytes)
{
	static struct guarded in, out[2];
	static struct bs_workspace *ws;
	struct bs_workspace *fresh;
	enum bs_result res[2];
	uint8_t *stored, *raw[2];

	if (!ws)
		MUST(!bs_workspace_new(&ws));
	MUST(!bs_workspace_new(&fresh));
	stored = guarded_get(&in, c->stored_len);
	memcpy(stored, bytes, c->stored_len);
	raw[0] = guarded_get(&out[0], c->raw_len);
	raw[1] = guarded_get(&out[1], c->raw_len);
	memset(raw[0], 0xa5, c->raw_len);
	memset(raw[1], 0x5a, c->raw_len);
	res[0] = bs_chunk_decode(c, blob, model, ws, stored, raw[0]);
	res[1] = bs_chunk_decode(c, blob, model, fresh, stored, raw[1]);
	MUST(res[0] == res[1]);
	MUST(!res[0] || res[0] == BS_ERR_CHECKSUM || res[0] == BS_ERR_CORRUPT);
	if (res[0] != BS_ERR_CORRUPT) {
		struct bs_chunk good = *c;

		MUST(!memcmp(raw[0], raw[1], c->raw_len));
		good.raw_sum = XXH3_64bits(raw[0], c->raw_len);
		MUST(!bs_chunk_decode(&good, blob, model, ws, stored, raw[1]));
	}
	bs_workspace_free(fresh);
	if (c->coding != BS_CODING_ZSTD)
		decode_by_warp(c, blob, model, stored, raw, res[0]);
}

static void run(struct bs_archive *ar, const struct one_chunk *c)
{
	struct bs_model *model = NULL;
	struct bs_error err = { 0 };
	struct bs_chunk chunk;
	struct bs_page *page;
	struct bs_blob blob;

	MUST(!bs_page_load(ar, 0, &page, NULL));
	bs_page_chunk(ar, page, c->before ? 1 : 0, &chunk);
	bs_archive_blob(ar, 0, &blob);
	MUST(chunk.raw_len == c->raw_len && chunk.blob_off == c->before);
	if (blob.model != BS_NO_MODEL &&
	    bs_model_load(ar, blob.model, &model, &err))
		MUST(!model && err.code && err.text[0]);
	if (model || c->coding != BS_CODING_PLANES)
		decode_twice(&chunk, &blob, model, c->stored);
	bs_model_free(model);
	bs_page_free(page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bs_archive *ar;
	struct bs_source src;
	struct bs_error err;
	struct one_chunk c;
	uint8_t *file;
	struct mem m;

	if (!parse(&c, data, size))
		return 0;
	m.len = build_container(&file, &c);
	m.p = file;
	src = mem_source(&m);
	/* Only the blob's model and width can be refused here. */
	if (!bs_archive_open(&ar, &src, &err)) {
		run(ar, &c);
		bs_archive_close(ar);
	}
	free(file);
	return 0;
}
