/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_safetensors.c - which headers are read, and how the others are refused
 *
 * Each header ends at a guard page, so that one byte of overread is a crash.
 */

#include "safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* A whole header whose last byte is the last before a guard page. */
struct head {
	uint8_t *map;
	size_t map_len;
	uint8_t *p;
	size_t len;
};

static void put_le64(uint8_t *p, uint64_t v)
{
	int i;

	for (i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static struct head make_head(const void *json, size_t json_len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct head h = { .len = 8 + json_len };

	h.map_len = (h.len + page - 1) / page * page + page;
	h.map = mmap(NULL, h.map_len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(h.map != MAP_FAILED);
	assert_int_equal(mprotect(h.map + h.map_len - page, page, PROT_NONE),
			 0);
	h.p = h.map + h.map_len - page - h.len;
	put_le64(h.p, json_len);
	memcpy(h.p + 8, json, json_len);
	return h;
}

static void drop_head(struct head *h)
{
	munmap(h->map, h->map_len);
}

/* Parse 'json' as the header of a file with 'data_len' bytes after it. */
static enum bs_result parse(struct bs_st **ret, const void *json,
			    size_t json_len, uint64_t data_len,
			    struct bs_error *err)
{
	struct head h = make_head(json, json_len);
	enum bs_result res;
	uint64_t len = 0;

	res = bs_st_header_len(h.p, h.len + data_len, &len, err);
	assert_int_equal(res, BS_OK);
	assert_int_equal(len, h.len);
	res = bs_st_parse(ret, h.p, h.len, h.len + data_len, err);
	drop_head(&h);
	return res;
}

static struct bs_st *parse_ok(const char *json, uint64_t data_len)
{
	struct bs_error err = { 0 };
	struct bs_st *st = NULL;

	if (parse(&st, json, strlen(json), data_len, &err))
		fail_msg("%.200s: %s", json, err.text);
	assert_non_null(st);
	return st;
}

#define T(name, dtype, shape, begin, end)                         \
	"\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":[" shape \
	"],\"data_offsets\":[" #begin "," #end "]}"
#define A T("a", "BF16", "2,2", 0, 8)

static const struct {
	const char *json;
	uint64_t data_len;
	size_t n_tensors;
} good[] = {
	{ "{}", 0, 0 },
	{ "{}", 100, 0 }, /* trailing bytes alone */
	{ "{ }   ", 0, 0 },
	{ "{\"__metadata__\":{}}", 0, 0 },
	{ "{\"__metadata__\":{\"format\":\"pt\",\"k\":\"\"}," A "}", 8, 1 },
	{ "{" A ",\"__metadata__\":{\"a\":\"b\"}}", 8, 1 },
	{ "{" A "}", 8, 1 },
	{ "{" A "}\t\r\n  ", 8, 1 }, /* padding */
	{ "{" A "}", 1000, 1 }, /* trailing bytes */
	{ "{ \"a\" : { \"shape\" : [ 2 , 2 ] ,\n\"data_offsets\" : [0, 8],"
	  "\"dtype\":\"BF16\" } }",
	  8, 1 }, /* order of keys, white space */
	{ "{" T("a", "U8", "", 0, 1) "}", 1, 1 }, /* 0-d, one byte */
	{ "{" T("a", "F32", "0", 0, 0) "}", 0, 1 }, /* no bytes */
	{ "{" T("a", "F32", "0,9007199254740991", 0, 0) "}", 0, 1 },
	{ "{" T("a", "F32", "0", 4, 4) "}", 4, 1 },
	{ "{" T("b", "U8", "4", 4, 8) "," T("a", "U8", "4", 0, 4) "}", 8, 2 },
	{ "{" T("a", "U8", "4", 4, 8) "," T("b", "U8", "4", 16, 20) "}", 30,
	  2 }, /* gaps */
	{ "{" T("a", "U8", "8", 0, 8) "," T("z", "U8", "0", 4, 4) "}", 8,
	  2 }, /* an empty one within another */
	{ "{" T("", "U8", "1", 0, 1) "}", 1, 1 }, /* the empty name */
	{ "{" T("\xe6\xb8\xa9\xf0\x9f\x8c\xb3", "U8", "1", 0, 1) "}", 1, 1 },
	{ "{" T("\\u6e29\\ud83c\\udf33", "U8", "1", 0, 1) "}", 1, 1 },
	{ "{" T("a\\\"\\\\\\/\\b\\f\\n\\r\\t", "U8", "1", 0, 1) "}", 1, 1 },
	{ "{" T("a", "INT3", "7", 0, 3) "}", 3, 1 }, /* unknown dtypes */
	{ "{" T("a", "F8_E4M3FNUZ", "3", 0, 3) "}", 3, 1 },
	{ "{" T("a", "", "", 0, 3) "}", 3, 1 },
	{ "{" T("a", "X", "9007199254740991,9007199254740991", 0, 3) "}", 3,
	  1 },
};

static void test_good(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct bs_st *st = parse_ok(good[i].json, good[i].data_len);

		assert_int_equal(bs_st_n_tensors(st), good[i].n_tensors);
		bs_st_free(st);
	}
}

/* Every one is BS_ERR_SYNTAX with a sentence that holds 'says'. */
static const struct {
	const char *json;
	uint64_t data_len;
	const char *says;
} bad[] = {
	/* JSON that does not parse, or is more than JSON */
	{ "", 0, "ends in the middle" },
	{ "{", 0, "ends in the middle" },
	{ "{\"a", 0, "ends in the middle" },
	{ "{\"a\":{\"dtype\":\"BF16\",\"shape\":[2,2],\"data_of", 8,
	  "ends in the middle" },
	{ " {}", 0, "0x20 at offset 8" },
	{ "\xef\xbb\xbf{}", 0, "0xef at offset 8" },
	{ "[]", 0, "0x5b at offset 8" },
	{ "\"\"", 0, "0x22 at offset 8" },
	{ "7", 0, "0x37 at offset 8" },
	{ "{}}", 0, "0x7d at offset 10" },
	{ "{}{}", 0, "0x7b at offset 10" },
	{ "{}x", 0, "0x78 at offset 10" },
	{ "{]", 0, "not valid JSON" },
	{ "{,}", 0, "not valid JSON" },
	{ "{" A ",}", 8, "not valid JSON" },
	{ "{" A " " A "}", 8, "not valid JSON" },
	{ "{\"a\"}", 0, "not valid JSON" },
	{ "{\"a\":}", 0, "not valid JSON" },
	{ "{1:{}}", 0, "not valid JSON" },
	{ "{'a':{}}", 0, "0x27 at offset 9" },
	{ "{\"a\":{\"b\":[[[[]]]]}}", 0, "nested too deeply" },
	{ "{\"a\":{\"b\":{\"c\":{\"d\":{}}}}}", 0, "nested too deeply" },
	/* strings */
	{ "{" T("a\\u0000b", "U8", "1", 0, 1) "}", 1, "0x5c at offset 11" },
	{ "{" T("\\u00zz", "U8", "1", 0, 1) "}", 1, "0x5c" },
	{ "{" T("\\u12", "U8", "1", 0, 1) "}", 1, "0x5c" },
	{ "{" T("\\x41", "U8", "1", 0, 1) "}", 1, "0x5c" },
	{ "{" T("\\ud83c", "U8", "1", 0, 1) "}", 1, "not valid JSON" },
	{ "{" T("\\udf33", "U8", "1", 0, 1) "}", 1, "not valid JSON" },
	{ "{" T("\n", "U8", "1", 0, 1) "}", 1, "0x0a" },
	{ "{" T("\x80", "U8", "1", 0, 1) "}", 1, "0x80" },
	{ "{" T("\xc0\xaf", "U8", "1", 0, 1) "}", 1, "0xc0" },
	{ "{" T("\xe0\x80\xaf", "U8", "1", 0, 1) "}", 1, "0xe0" },
	{ "{" T("\xed\xa0\x80", "U8", "1", 0, 1) "}", 1, "0xed" },
	{ "{" T("\xf0\x80\x80\xaf", "U8", "1", 0, 1) "}", 1, "0xf0" },
	{ "{" T("\xf4\x90\x80\x80", "U8", "1", 0, 1) "}", 1, "0xf4" },
	{ "{" T("\xe6\xb8", "U8", "1", 0, 1) "}", 1, "0xe6" },
	{ "{\"\xe6", 0, "0xe6" },
	{ "{\"\\", 0, "0x5c" },
	{ "{\"\\u12", 0, "0x5c" },
	/* numbers */
	{ "{" T("a", "U8", "-1", 0, 1) "}", 1, "0x2d" },
	{ "{" T("a", "U8", "1.0", 0, 1) "}", 1, "0x2e" },
	{ "{" T("a", "U8", "1e0", 0, 1) "}", 1, "0x65" },
	{ "{" T("a", "U8", "01", 0, 1) "}", 1, "0x31" },
	{ "{" T("a", "U8", "00", 0, 1) "}", 1, "0x30" },
	{ "{" T("a", "U8", "0x1", 0, 1) "}", 1, "0x78" },
	{ "{" T("a", "U8", "+1", 0, 1) "}", 1, "0x2b" },
	{ "{" T("a", "U8", "true", 0, 1) "}", 1, "0x74" },
	{ "{" T("a", "U8", "null", 0, 1) "}", 1, "0x6e" },
	{ "{" T("a", "U8", "1 1", 0, 1) "}", 1, "not valid JSON" },
	{ "{" T("a", "U8", "\"1\"", 0, 1) "}", 1, "no integer below 2^53" },
	{ "{" T("a", "U8", "[1]", 0, 1) "}", 1, "no integer below 2^53" },
	{ "{" T("a", "U8", "9007199254740992", 0, 1) "}", 1,
	  "no integer below 2^53" },
	{ "{" T("a", "U8", "18446744073709551617", 0, 1) "}", 1,
	  "no integer below 2^53" },
	{ "{" T("a", "U8",
		"99999999999999999999999999999999999999999999999999999999999999"
		"99999999",
		0, 1) "}",
	  1, "" }, /* too long for some releases of cJSON */
	{ "{" T("a", "U8", "1", 0, 18446744073709551617) "}", 1,
	  "not two integers" },
	{ "{" T("a", "U8", "1", 9007199254740992, 9007199254740993) "}", 1,
	  "not two integers" },
	/* what an entry holds */
	{ "{\"a\":[]}", 0, "'a' is not an object" },
	{ "{\"a\":\"b\"}", 0, "'a' is not an object" },
	{ "{\"a\":1}", 0, "'a' is not an object" },
	{ "{\"a\":{}}", 0, "'a' lacks" },
	{ "{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}", 0, "'a' lacks" },
	{ "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,0]}}", 0, "'a' lacks" },
	{ "{\"a\":{\"shape\":[0],\"data_offsets\":[0,0]}}", 0, "'a' lacks" },
	{ "{\"a\":{\"dtype\":8,\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
	  "'a' lacks" },
	{ "{\"a\":{\"dtype\":\"U8\",\"shape\":0,\"data_offsets\":[0,0]}}", 0,
	  "'a' lacks" },
	{ "{\"a\":{\"dtype\":\"U8\",\"shape\":{},\"data_offsets\":[0,0]}}", 0,
	  "'a' lacks" },
	{ "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":\"0\"}}", 0,
	  "'a' lacks" },
	{ "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[]}}", 0,
	  "not two integers" },
	{ "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0]}}", 0,
	  "not two integers" },
	{ "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0,0]}}",
	  0, "not two integers" },
	{ "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,[]]}}", 0,
	  "not two integers" },
	{ "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],"
	  "\"x\":1}}",
	  0, "unknown field 'x'" },
	/* duplicates */
	{ "{" A "," A "}", 8, "'a' stands twice" },
	{ "{" T("a", "U8", "1", 0, 1) "," T("b", "U8", "1", 1, 2) "," T(
		  "\\u0061", "U8", "1", 2, 3) "}",
	  3, "'a' stands twice" },
	{ "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[0],"
	  "\"data_offsets\":[0,0]}}",
	  0, "field 'dtype' twice" },
	{ "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"shape\":[0],"
	  "\"data_offsets\":[0,0]}}",
	  0, "field 'shape' twice" },
	{ "{\"__metadata__\":{},\"__metadata__\":{}}", 0,
	  "__metadata__ stands twice" },
	/* metadata */
	{ "{\"__metadata__\":[]}", 0, "__metadata__" },
	{ "{\"__metadata__\":\"x\"}", 0, "__metadata__" },
	{ "{\"__metadata__\":{\"k\":1}}", 0, "'k' is not a string" },
	{ "{\"__metadata__\":{\"k\":{}}}", 0, "'k' is not a string" },
	/* ranges */
	{ "{" A "}", 7, "do not lie in the 7 bytes" },
	{ "{" A "}", 0, "do not lie in the 0 bytes" },
	{ "{" T("a", "U8", "1", 1, 0) "}", 8, "do not lie" },
	{ "{" T("a", "U8", "0", 9, 9) "}", 8, "do not lie" },
	{ "{" T("a", "U8", "1", 0, 9007199254740991) "}", 8, "do not lie" },
	{ "{" T("a", "U8", "1", 9007199254740990, 9007199254740991) "}", 8,
	  "do not lie" },
	{ "{" T("a", "U8", "8", 0, 8) "," T("b", "U8", "8", 0, 8) "}", 8,
	  "'a' and 'b' overlap" },
	{ "{" T("b", "U8", "4", 2, 6) "," T("a", "U8", "4", 0, 4) "}", 8,
	  "'a' and 'b' overlap" },
	{ "{" T("a", "U8", "8", 0, 8) "," T("b", "U8", "0", 3,
					    3) "," T("c", "U8", "1", 7, 8) "}",
	  8, "'a' and 'c' overlap" },
	/* shapes */
	{ "{" T("a", "BF16", "2,2", 0, 7) "}", 8, "does not match" },
	{ "{" T("a", "BF16", "", 0, 8) "}", 8, "does not match" },
	{ "{" T("a", "BF16", "0", 0, 8) "}", 8, "does not match" },
	{ "{" T("a", "BF16", "4", 0, 0) "}", 8, "does not match" },
	{ "{" T("a", "F4", "3", 0, 1) "}", 8, "does not match" },
	{ "{" T("a", "F6_E2M3", "1", 0, 1) "}", 8, "does not match" },
	{ "{" T("a", "U8", "4294967296,4294967296", 0, 0) "}", 8,
	  "does not match" },
	{ "{" T("a", "U8", "2305843009213693952", 0, 0) "}", 8,
	  "no integer below 2^53" },
	{ "{" T("a", "F64", "288230376151711744", 0, 0) "}", 8,
	  "no integer below 2^53" },
	{ "{" T("a", "F64", "4503599627370496,64", 0, 0) "}", 8,
	  "does not match" },
	{ "{" T("a", "U8", "4503599627370496,4503599627370496,0", 0, 0) "}", 8,
	  "does not match" },
};

static void test_bad(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct bs_error err = { 0 };
		struct bs_st *st = (struct bs_st *)&err;
		enum bs_result res;

		res = parse(&st, bad[i].json, strlen(bad[i].json),
			    bad[i].data_len, &err);
		if (res != BS_ERR_SYNTAX || st ||
		    !strstr(err.text, bad[i].says))
			fail_msg("%s: result %d: %s", bad[i].json, (int)res,
				 err.text);
		assert_int_equal(err.code, BS_ERR_SYNTAX);
		res = parse(&st, bad[i].json, strlen(bad[i].json),
			    bad[i].data_len, NULL);
		assert_int_equal(res, BS_ERR_SYNTAX);
	}
}

/* A header that ends early is refused wherever it ends, and any byte of it may
 * change without a crash. */
static void test_cut_and_flipped(void **state)
{
	static const char json[] =
		"{\"__metadata__\":{\"a\\u00e9\":\"\xc3\xa9\"}," A
		"," T("b", "INT3", "1", 8, 9) "}";
	char copy[sizeof(json)];
	struct bs_st *st;
	size_t i;
	int c;

	(void)state;
	for (i = 0; i < sizeof(json) - 1; i++)
		assert_int_equal(parse(&st, json, i, 9, NULL), BS_ERR_SYNTAX);
	for (i = 0; i < sizeof(json) - 1; i++) {
		for (c = 0; c < 256; c++) {
			memcpy(copy, json, sizeof(json));
			copy[i] = (char)c;
			if (!parse(&st, copy, sizeof(json) - 1, 9, NULL))
				bs_st_free(st);
		}
	}
}

static void test_embedded_nul(void **state)
{
	static const char json[] = "{\"a\0\":{}}";
	struct bs_st *st;

	(void)state;
	assert_int_equal(parse(&st, json, sizeof(json) - 1, 0, NULL),
			 BS_ERR_SYNTAX);
	assert_int_equal(parse(&st, "{}\0", 3, 0, NULL), BS_ERR_SYNTAX);
}

static void test_header_len(void **state)
{
	uint8_t prefix[8];
	struct bs_error err;
	uint64_t len, size;

	(void)state;
	for (size = 0; size < 8; size++) {
		/* NULL: not even the prefix is there to be read */
		assert_int_equal(bs_st_header_len(NULL, size, &len, &err),
				 BS_ERR_SYNTAX);
	}
	put_le64(prefix, 2);
	assert_int_equal(bs_st_header_len(prefix, 9, &len, &err),
			 BS_ERR_SYNTAX);
	assert_non_null(strstr(err.text, "longer than the file"));
	assert_int_equal(bs_st_header_len(prefix, 10, &len, &err), BS_OK);
	assert_int_equal(len, 10);
	put_le64(prefix, BS_ST_HEADER_MAX);
	assert_int_equal(bs_st_header_len(prefix, UINT64_MAX, &len, &err),
			 BS_OK);
	put_le64(prefix, BS_ST_HEADER_MAX + 1);
	assert_int_equal(bs_st_header_len(prefix, UINT64_MAX, &len, &err),
			 BS_ERR_SYNTAX);
	put_le64(prefix, UINT64_MAX);
	assert_int_equal(bs_st_header_len(prefix, UINT64_MAX, &len, NULL),
			 BS_ERR_SYNTAX);
}

static void test_wrong_len_is_the_callers_error(void **state)
{
	struct head h = make_head("{}  ", 4);
	struct bs_st *st;

	(void)state;
	assert_int_equal(bs_st_parse(&st, h.p, 7, 12, NULL), BS_ERR_PARAM);
	assert_int_equal(bs_st_parse(&st, h.p, 11, 12, NULL), BS_ERR_PARAM);
	assert_int_equal(bs_st_parse(&st, h.p, 12, 12, NULL), BS_OK);
	bs_st_free(st);
	bs_st_free(NULL);
	drop_head(&h);
}

static void test_fields_and_order(void **state)
{
	static const char json[] = "{" T("late", "F32", "2,3", 40, 64) "," T(
		"empty", "F16", "3,0", 8, 8) "," T("early", "INT3", "", 0,
						   8) "," T("between", "BF16",
							    "1", 8, 10) "}";
	const uint64_t base = 8 + sizeof(json) - 1;
	struct bs_st *st = parse_ok(json, 70);
	const struct bs_st_tensor *t;

	(void)state;
	assert_int_equal(bs_st_n_tensors(st), 4);

	t = bs_st_tensor(st, 0);
	assert_string_equal(t->name, "early");
	assert_string_equal(t->dtype_name, "INT3");
	assert_int_equal(t->dtype, BS_DTYPE_BYTES);
	assert_int_equal(t->is_known, 0);
	assert_int_equal(t->n_dims, 0);
	assert_int_equal(t->off, base);
	assert_int_equal(t->len, 8);

	assert_string_equal(bs_st_tensor(st, 1)->name, "between");
	assert_string_equal(bs_st_tensor(st, 2)->name, "empty");
	assert_int_equal(bs_st_tensor(st, 2)->n_dims, 2);
	assert_int_equal(bs_st_tensor(st, 2)->shape[0], 3);
	assert_int_equal(bs_st_tensor(st, 2)->shape[1], 0);

	t = bs_st_tensor(st, 3);
	assert_string_equal(t->name, "late");
	assert_string_equal(t->dtype_name, "F32");
	assert_int_equal(t->dtype, BS_DTYPE_F32);
	assert_int_equal(t->is_known, 1);
	assert_int_equal(t->shape[0], 2);
	assert_int_equal(t->shape[1], 3);
	assert_int_equal(t->off, base + 40);
	assert_int_equal(t->len, 24);

	assert_null(bs_st_tensor_at(st, 0));
	assert_null(bs_st_tensor_at(st, base - 1));
	assert_ptr_equal(bs_st_tensor_at(st, base), bs_st_tensor(st, 0));
	assert_ptr_equal(bs_st_tensor_at(st, base + 7), bs_st_tensor(st, 0));
	assert_ptr_equal(bs_st_tensor_at(st, base + 8), bs_st_tensor(st, 1));
	assert_null(bs_st_tensor_at(st, base + 10));
	assert_null(bs_st_tensor_at(st, base + 39));
	assert_ptr_equal(bs_st_tensor_at(st, base + 63), t);
	assert_null(bs_st_tensor_at(st, base + 64));
	assert_null(bs_st_tensor_at(st, UINT64_MAX));
	bs_st_free(st);
}

/* Empty tensors, wherever they lie, hide no byte of another from a look-up. */
static void test_look_up_among_empty(void **state)
{
	static const char json[] = "{" T("m", "U8", "10", 0, 10) "," T(
		"e1", "U8", "0", 0, 0) "," T("e2", "U8", "0", 5,
					     5) "," T("z", "U8", "0", 10,
						      10) "}";
	const uint64_t base = 8 + sizeof(json) - 1;
	struct bs_st *st = parse_ok(json, 10);
	uint64_t i;

	(void)state;
	for (i = 0; i < 10; i++)
		assert_string_equal(bs_st_tensor_at(st, base + i)->name, "m");
	assert_null(bs_st_tensor_at(st, base + 10));
	bs_st_free(st);
}

static void test_every_dtype(void **state)
{
	static const struct {
		const char *name;
		unsigned dtype, bits;
	} known[] = {
		{ "BOOL", BS_DTYPE_BOOL, 8 },
		{ "U8", BS_DTYPE_U8, 8 },
		{ "I8", BS_DTYPE_I8, 8 },
		{ "F8_E4M3", BS_DTYPE_F8_E4M3, 8 },
		{ "F8_E5M2", BS_DTYPE_F8_E5M2, 8 },
		{ "F8_E8M0", BS_DTYPE_F8_E8M0, 8 },
		{ "F4", BS_DTYPE_F4, 4 },
		{ "F6_E2M3", BS_DTYPE_F6_E2M3, 6 },
		{ "F6_E3M2", BS_DTYPE_F6_E3M2, 6 },
		{ "I16", BS_DTYPE_I16, 16 },
		{ "U16", BS_DTYPE_U16, 16 },
		{ "F16", BS_DTYPE_F16, 16 },
		{ "BF16", BS_DTYPE_BF16, 16 },
		{ "I32", BS_DTYPE_I32, 32 },
		{ "U32", BS_DTYPE_U32, 32 },
		{ "F32", BS_DTYPE_F32, 32 },
		{ "C64", BS_DTYPE_C64, 64 },
		{ "F64", BS_DTYPE_F64, 64 },
		{ "I64", BS_DTYPE_I64, 64 },
		{ "U64", BS_DTYPE_U64, 64 },
	};
	char json[200];
	size_t i;

	(void)state;
	assert_int_equal(sizeof(known) / sizeof(*known), BS_DTYPE_N - 1);
	for (i = 0; i < sizeof(known) / sizeof(*known); i++) {
		struct bs_st *st;

		snprintf(json, sizeof(json),
			 "{\"t\":{\"dtype\":\"%s\",\"shape\":[3,4],"
			 "\"data_offsets\":[0,%u]}}",
			 known[i].name, 12 * known[i].bits / 8);
		st = parse_ok(json, 96);
		assert_int_equal(bs_st_tensor(st, 0)->dtype, known[i].dtype);
		assert_int_equal(bs_st_tensor(st, 0)->is_known, 1);
		bs_st_free(st);
	}
}

/* Names are kept whole; a sentence shows 60 bytes and no control character. */
static void test_names(void **state)
{
	char name[10001], json[10200];
	struct bs_error err = { 0 };
	struct bs_st *st;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(name) - 1; i++)
		name[i] = "\xe6\xb8\xa9"[i % 3];
	name[sizeof(name) - 2] = 'x';
	name[sizeof(name) - 1] = '\0';
	snprintf(json, sizeof(json),
		 "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],"
		 "\"data_offsets\":[0,1]}}",
		 name);
	st = parse_ok(json, 1);
	assert_string_equal(bs_st_tensor(st, 0)->name, name);
	bs_st_free(st);
	assert_int_equal(parse(&st, json, strlen(json), 0, &err),
			 BS_ERR_SYNTAX);
	name[60] = '\0';
	snprintf(json, sizeof(json), "tensor '%s...'", name);
	assert_non_null(strstr(err.text, json));

	snprintf(json, sizeof(json), "{\"a\\u001b[31m\\u007f\\u009bb\":1}");
	assert_int_equal(parse(&st, json, strlen(json), 0, &err),
			 BS_ERR_SYNTAX);
	assert_non_null(strstr(err.text, "'a?[31m???b'"));
}

/* 10,000 tensors, stored backwards. */
static void test_many(void **state)
{
	const unsigned n = 10000;
	char *json = malloc(n * 100), *p = json;
	struct bs_st *st;
	unsigned i;

	(void)state;
	assert_non_null(json);
	for (i = 0; i < n; i++)
		p += sprintf(p,
			     "%c\"layer.%u\":{\"dtype\":\"U16\",\"shape\":[2],"
			     "\"data_offsets\":[%u,%u]}",
			     i ? ',' : '{', i, 4 * (n - 1 - i), 4 * (n - i));
	strcpy(p, "}");
	st = parse_ok(json, 4 * n);
	assert_int_equal(bs_st_n_tensors(st), n);
	for (i = 0; i < n; i++) {
		uint64_t off = 8 + strlen(json) + 4 * i;

		assert_int_equal(bs_st_tensor(st, i)->off, off);
		assert_ptr_equal(bs_st_tensor_at(st, off + 3),
				 bs_st_tensor(st, i));
	}
	bs_st_free(st);
	free(json);
}

/* A header that fits the size limit but whose tree would take gigabytes. */
static void test_too_complex(void **state)
{
	const size_t len = 20 << 20;
	struct bs_error err = { 0 };
	char *json = malloc(len);
	struct bs_st *st;

	(void)state;
	assert_non_null(json);
	memset(json, ',', len);
	memcpy(json, "{\"a\":[", 6);
	memcpy(json + len - 2, "]}", 2);
	assert_int_equal(parse(&st, json, len, 0, &err), BS_ERR_SYNTAX);
	assert_non_null(strstr(err.text, "too complex"));
	free(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_cut_and_flipped),
		cmocka_unit_test(test_embedded_nul),
		cmocka_unit_test(test_header_len),
		cmocka_unit_test(test_wrong_len_is_the_callers_error),
		cmocka_unit_test(test_fields_and_order),
		cmocka_unit_test(test_look_up_among_empty),
		cmocka_unit_test(test_every_dtype),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_too_complex),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
