/* SPDX-License-Identifier: Apache-2.0 */
/*
 * make_seeds.c - write the inputs that the fuzzers start from
 *
 * usage: make_seeds DIR, for DIR/fuzz_<target>/<name>.  What was committed in
 * corpus/ came from here, and what the fuzzers found since from them.
 */

#include "container.h"
#include "encode.h"

#include <sys/stat.h>

static const char *out_dir;

static void save(const char *target, const char *name, const void *p,
		 size_t len)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", out_dir, target);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/%s/%s", out_dir, target, name);
	f = fopen(path, "wb");
	MUST(f && fwrite(p, 1, len, f) == len && !fclose(f));
}

/* ---- Weights ------------------------------------------------------------ */

static uint64_t seed = 1;

static uint32_t random32(void)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(seed >> 32);
}

/* Near enough to a Gaussian of that deviation. */
static float weight(float deviation)
{
	float sum = 0;
	int i;

	for (i = 0; i < 12; i++)
		sum += (float)random32() / 4294967296.0f;
	return (sum - 6) * deviation;
}

static uint16_t to_f16(float v)
{
	uint32_t u, e;

	memcpy(&u, &v, sizeof(u));
	e = u >> 23 & 255;
	if (e < 113)
		return (uint16_t)(u >> 16 & 0x8000);
	return (uint16_t)((u >> 16 & 0x8000) | ((e - 112) << 10 & 0x7c00) |
			  (u >> 13 & 0x3ff));
}

/* One element of 'dtype' at 'p'; 'kind' is the row of the table below. */
static void put_element(uint8_t *p, unsigned dtype, char kind, size_t i)
{
	float v = weight(0.02f);
	double wide = (double)v;
	uint32_t bits;

	if (kind == 'z' || (kind == 's' && i % 16))
		v = 0;
	if (kind == 'o' && i % 97 == 0)
		v *= 1e20f;
	memcpy(&bits, &v, sizeof(bits));
	if (kind == 'n')
		bits &= 0xffff0000;
	switch (dtype) {
	case BS_DTYPE_BF16:
		bits >>= 16;
		break;
	case BS_DTYPE_F16:
		bits = to_f16(v);
		break;
	case BS_DTYPE_F8_E4M3:
	case BS_DTYPE_F8_E5M2:
		bits = (uint32_t)to_f16(v) >> 8;
		break;
	case BS_DTYPE_F64:
		memcpy(p, &wide, 8);
		return;
	case BS_DTYPE_F32:
	case BS_DTYPE_C64:
		break;
	default:
		bits = (uint32_t)(int32_t)(v * 1000);
	}
	memcpy(p, &bits, bs_dtype_unit(dtype) < 4 ? bs_dtype_unit(dtype) : 4);
}

static const struct {
	const char *name;
	unsigned dtype;
	char kind; /* 'w'eights, 'o'utliers, 's'parse, 'z'ero, 'n'arrow */
	size_t n;
} blobs[] = {
	{ "bf16", BS_DTYPE_BF16, 'w', 1500 },
	{ "bf16_outliers", BS_DTYPE_BF16, 'o', 1501 },
	{ "bf16_sparse", BS_DTYPE_BF16, 's', 700 },
	{ "bf16_zero", BS_DTYPE_BF16, 'z', 700 },
	{ "bf16_tiny", BS_DTYPE_BF16, 'w', 65 },
	{ "f16", BS_DTYPE_F16, 'w', 1000 },
	{ "f32", BS_DTYPE_F32, 'w', 900 },
	{ "f32_narrow", BS_DTYPE_F32, 'n', 900 },
	{ "f64", BS_DTYPE_F64, 'w', 500 },
	{ "f8_e4m3", BS_DTYPE_F8_E4M3, 'w', 2500 },
	{ "f8_e5m2", BS_DTYPE_F8_E5M2, 'w', 2500 },
	{ "i8", BS_DTYPE_I8, 'w', 1000 },
	{ "i32", BS_DTYPE_I32, 'w', 700 },
	{ "i64", BS_DTYPE_I64, 's', 300 },
	{ "c64", BS_DTYPE_C64, 'w', 500 },
	{ "bytes", BS_DTYPE_BYTES, 's', 900 },
};

#define N_BLOBS (sizeof(blobs) / sizeof(*blobs))

static struct piece make_piece(size_t i)
{
	size_t unit = bs_dtype_unit(blobs[i].dtype), k;
	struct piece ret = { .dtype = (uint8_t)blobs[i].dtype };
	uint8_t *p = calloc(blobs[i].n, unit);

	MUST(p);
	for (k = 0; k < blobs[i].n; k++)
		put_element(p + k * unit, blobs[i].dtype, blobs[i].kind, k);
	ret.data = p;
	ret.len = blobs[i].n * unit;
	return ret;
}

/* ---- Seeds -------------------------------------------------------------- */

static void save_chunk(const char *name, const struct one_chunk *c)
{
	uint8_t *p = calloc(1, 24 + (size_t)c->pool_len + c->stored_len);

	MUST(p);
	p[0] = c->coding;
	p[1] = c->dtype;
	store32(p + 4, c->width);
	store32(p + 8, c->raw_len - 1);
	store32(p + 12, c->before);
	store32(p + 16, (uint32_t)c->model);
	store32(p + 20, c->pool_len);
	memcpy(p + 24, c->pool, c->pool_len);
	memcpy(p + 24 + c->pool_len, c->stored, c->stored_len);
	save("fuzz_chunk", name, p, 24 + (size_t)c->pool_len + c->stored_len);
	free(p);
}

/* The first chunk of a container of one blob, and its model. */
static void save_chunk_of(const char *name, uint8_t *file)
{
	const uint8_t *blob, *index, *pool, *sec = file + SB_SECTIONS;
	struct one_chunk c = { .pool = (const uint8_t *)"", .pool_len = 1 };

	blob = file + load64(sec + (SECTION_BLOBS - 1) * SECTION_RECORD_LEN +
			     SECTION_OFFSET);
	index = file + load64(sec + (SECTION_PAGES - 1) * SECTION_RECORD_LEN +
			      SECTION_OFFSET);
	pool = index + PAGE_RECORD_LEN;
	index = file + load64(index + PAGE_OFFSET);
	c.coding = index[CHUNK_CODING];
	c.dtype = blob[BLOB_DTYPE];
	c.raw_len = load32(blob + BLOB_LENGTH);
	c.model = load64(blob + BLOB_MODEL);
	c.stored = file + load64(index + CHUNK_OFFSET);
	c.stored_len = load32(index + CHUNK_STORED_LENGTH);
	if (c.model != NO_REFERENCE) {
		c.pool = file + load64(pool + PAGE_OFFSET);
		c.pool_len = load32(pool + PAGE_LENGTH);
	}
	save_chunk(name, &c);
}

static size_t put_object(uint8_t *pool, size_t *len, uint32_t type,
			 const void *data, size_t n)
{
	size_t ret = *len;

	store32(pool + ret, type);
	store32(pool + ret + 4, (uint32_t)n);
	memcpy(pool + ret + OBJECT_HEADER_LEN, data, n);
	*len = (ret + OBJECT_HEADER_LEN + n + 7) / 8 * 8;
	return ret;
}

/*
 * A model that our encoder does not make: row and column classes (the former
 * in a zstd frame), two tables, an escape, a shift.  The words are noise: they
 * decode to the end, where the lanes' states are found wrong.
 */
static void save_chunk_with_classes(void)
{
	enum { N = 640, WIDTH = 64, BEFORE = 256 };
	/* 10 bits of probability: 512 of symbol 0, 256 of 1, 256 of 2 */
	static const uint8_t table[] = { 10, 2, 0xb0, 0x00, 0x08, 0x20, 0x00 };
	/* one raw block of 12 classes */
	static const uint8_t frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x20, 12, 0x61,
					 0,    0,    0,	   1,	 2,    3,  4,
					 5,    6,    7,	   8,	 9,    10, 11 };
	uint8_t rows[CLASSES_HEADER_LEN + 4 + sizeof(frame)] = { 12 };
	uint8_t columns[CLASSES_HEADER_LEN + WIDTH] = { WIDTH };
	uint8_t model[MODEL_HEADER_LEN + 2 * PLANE_LEN + 16] = { 2, 2 };
	uint8_t pool[1024] = { 0 }, stored[4 + 4 + 256 + 400 + N] = { 0 };
	uint8_t *coded = model + MODEL_HEADER_LEN, *raw = coded + PLANE_LEN;
	struct one_chunk c = { .coding = BS_CODING_PLANES,
			       .dtype = BS_DTYPE_BF16,
			       .width = WIDTH,
			       .before = BEFORE,
			       .raw_len = 2 * N };
	size_t len = 0, i;

	rows[8] = 1;
	store32(rows + CLASSES_HEADER_LEN, sizeof(frame));
	memcpy(rows + CLASSES_HEADER_LEN + 4, frame, sizeof(frame));
	for (i = 0; i < WIDTH; i++)
		columns[CLASSES_HEADER_LEN + i] = (uint8_t)(i % 7);
	coded[PLANE_CODING] = PLANE_CODED;
	coded[PLANE_WIDTH] = 8;
	coded[PLANE_PART_COUNT] = 1;
	coded[PLANE_TABLE_LOG2] = 1;
	coded[PLANE_PARTS] = 7;
	coded[PLANE_PARTS + 1] = 8;
	coded[PLANE_SYMBOL_COUNT] = 3;
	coded[PLANE_ESCAPE] = 2;
	coded[PLANE_BASE] = 100;
	coded[PLANE_SHIFT] = 1;
	store64(coded + PLANE_ROW_CLASSES,
		put_object(pool, &len, OBJECT_CLASSES, rows, sizeof(rows)));
	store64(coded + PLANE_COLUMN_CLASSES,
		put_object(pool, &len, OBJECT_CLASSES, columns,
			   sizeof(columns)));
	raw[PLANE_WIDTH] = 8;
	raw[PLANE_PART_COUNT] = 2;
	raw[PLANE_PARTS] = 15;
	raw[PLANE_PARTS + 1] = 1;
	raw[PLANE_PARTS + 3] = 7;
	store32(raw + PLANE_ESCAPE, NO_ESCAPE);
	store64(raw + PLANE_ROW_CLASSES, NO_REFERENCE);
	store64(raw + PLANE_COLUMN_CLASSES, NO_REFERENCE);
	for (i = 0; i < 2; i++)
		store64(raw + PLANE_LEN + 8 * i,
			put_object(pool, &len, OBJECT_TABLE, table,
				   sizeof(table)));
	c.model = put_object(pool, &len, OBJECT_MODEL, model, sizeof(model));
	c.pool = pool;
	c.pool_len = (uint32_t)len;

	store32(stored, 120);
	store32(stored + 4, 200);
	for (i = 8; i < sizeof(stored); i++)
		stored[i] = (uint8_t)random32();
	c.stored = stored;
	c.stored_len = 4 + 4 + 256 + 240 + 200 + N - CARRY_MAX;
	save_chunk("classes", &c);
}

static void save_blobs(void)
{
	struct piece all[N_BLOBS];
	uint8_t *file, *trip;
	size_t i, len;

	for (i = 0; i < N_BLOBS; i++) {
		all[i] = make_piece(i);
		len = encode_container(&file, &all[i], 1);
		save("fuzz_archive", blobs[i].name, file, len);
		save_chunk_of(blobs[i].name, file);
		free(file);

		trip = malloc(2 + all[i].len);
		MUST(trip);
		trip[0] = (uint8_t)(all[i].dtype | (i & 1) << 7);
		trip[1] = i % 3 ? (uint8_t)i : 255;
		memcpy(trip + 2, all[i].data, all[i].len);
		save("fuzz_roundtrip", blobs[i].name, trip, 2 + all[i].len);
		free(trip);
	}
	len = encode_container(&file, all, N_BLOBS);
	save("fuzz_archive", "many_blobs", file, len);
	memset(file, 0, SB_LEN);
	save("fuzz_archive", "first_superblock_zero", file, len);
	free(file);
	len = encode_container(&file, NULL, 0);
	save("fuzz_archive", "empty_member", file, len);
	free(file);
	for (i = 0; i < N_BLOBS; i++)
		free((void *)(uintptr_t)all[i].data);
}

static const struct {
	const char *name;
	unsigned data_len;
	const char *json;
} headers[] = {
	{ "empty_list", 0, "{}" },
	{ "metadata", 8,
	  "{\"__metadata__\":{\"format\":\"pt\",\"\":\"\"},\"a\":{\"dtype\":"
	  "\"BF16\",\"shape\":[2,2],\"data_offsets\":[0,8]}}" },
	{ "order_and_gaps", 100,
	  "{ \"b\":{\"shape\":[2],\"data_offsets\":[40,48],\"dtype\":\"I32\"},"
	  "\n\"a\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[9,17]},"
	  "\"z\":{\"dtype\":\"F4\",\"shape\":[0],\"data_offsets\":[9,9]}}   " },
	{ "names", 4,
	  "{\"\\u6e29\\ud83c\\udf33\\n\\\"\\\\\":{\"dtype\":\"U8\",\"shape\":[1"
	  "],\"data_offsets\":[0,1]},\"\xe6\xb8\xa9\":{\"dtype\":\"F8_E4M3\","
	  "\"shape\":[1],\"data_offsets\":[1,2]}}" },
	{ "unknown_dtype", 3,
	  "{\"a\":{\"dtype\":\"INT3\",\"shape\":[7],\"data_offsets\":[0,3]}}" },
	{ "overlap", 8,
	  "{\"a\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[0,5]},"
	  "\"b\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[3,8]}}" },
	{ "duplicate", 8,
	  "{\"a\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[0,5]},"
	  "\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[5,6]}"
	  "}" },
	{ "overflow", 8,
	  "{\"a\":{\"dtype\":\"F64\",\"shape\":[9007199254740991,"
	  "9007199254740991],\"data_offsets\":[0,9007199254740992]}}" },
	{ "deep", 0, "{\"a\":[[[[[]]]]]}" },
};

static void save_headers(void)
{
	size_t i;

	for (i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
		uint8_t buf[1024] = { (uint8_t)headers[i].data_len };
		size_t len = strlen(headers[i].json);

		memcpy(buf + 3, headers[i].json, len);
		save("fuzz_safetensors", headers[i].name, buf, 3 + len);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: make_seeds DIR\n");
		return 2;
	}
	out_dir = argv[1];
	mkdir(out_dir, 0777);
	save_headers();
	save_blobs();
	save_chunk_with_classes();
	return 0;
}
