/* SPDX-License-Identifier: Apache-2.0 */
/*
 * canonical.c - the header that the safetensors library would write
 *
 * Upstream's files do not keep the source's header.  Most sources were written
 * by that library, so what it would write is the best guess.
 */

#include "canonical.h"

#include "../bits.h"
#include "builder.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* In the order of the library's own list, which its files are sorted by, the
 * last one first. */
static const struct {
	const char *name;
	const char *torch; /* what upstream calls it */
	uint8_t bits;
} dtypes[] = {
	{ "BOOL", "bool", 8 },
	{ "F4", "float4_e2m1fn_x2", 4 },
	{ "F6_E2M3", NULL, 6 },
	{ "F6_E3M2", NULL, 6 },
	{ "U8", "uint8", 8 },
	{ "I8", "int8", 8 },
	{ "F8_E5M2", "float8_e5m2", 8 },
	{ "F8_E4M3", "float8_e4m3fn", 8 },
	{ "F8_E8M0", "float8_e8m0fnu", 8 },
	{ "F8_E4M3FNUZ", "float8_e4m3fnuz", 8 },
	{ "F8_E5M2FNUZ", "float8_e5m2fnuz", 8 },
	{ "I16", "int16", 16 },
	{ "U16", "uint16", 16 },
	{ "F16", "float16", 16 },
	{ "BF16", "bfloat16", 16 },
	{ "I32", "int32", 32 },
	{ "U32", "uint32", 32 },
	{ "F32", "float32", 32 },
	{ "C64", "complex64", 64 },
	{ "F64", "float64", 64 },
	{ "I64", "int64", 64 },
	{ "U64", "uint64", 64 },
};

#define N_DTYPES (sizeof(dtypes) / sizeof(*dtypes))

static int is_same_word(const char *a, const char *b)
{
	while (*a && toupper((unsigned char)*a) == toupper((unsigned char)*b)) {
		a++;
		b++;
	}
	return !*a && !*b;
}

const char *bs_up_dtype(const char *name, unsigned *ret_bits,
			unsigned *ret_pack)
{
	size_t i;

	for (i = 0; i < N_DTYPES; i++) {
		int is_torch = dtypes[i].torch &&
			       !strcmp(name, dtypes[i].torch);

		if (!is_torch && !is_same_word(name, dtypes[i].name))
			continue;
		*ret_bits = dtypes[i].bits;
		/* torch counts pairs. */
		*ret_pack = is_torch && dtypes[i].bits == 4 ? 2 : 1;
		return dtypes[i].name;
	}
	return NULL;
}

/* bs_up_dtype()'s names are those of the table. */
static size_t rank(const char *name)
{
	size_t i = 0;

	while (i < N_DTYPES && dtypes[i].name != name)
		i++;
	return i;
}

static int compare(const void *a, const void *b)
{
	const struct bs_up_entry *x = a, *y = b;
	size_t i = rank(x->dtype), k = rank(y->dtype);

	if (i != k)
		return i > k ? -1 : 1;
	return strcmp(x->name, y->name);
}

void bs_up_sort_entries(struct bs_up_entry *e, size_t n)
{
	if (n)
		qsort(e, n, sizeof(*e), compare);
}

/* ---- The header ---------------------------------------------------------- */

static void put_metadata(struct bs_up_text *t, const struct bs_up_meta *meta,
			 size_t n)
{
	size_t i;

	bs_up_put_text(t, "\"__metadata__\":{");
	for (i = 0; i < n; i++) {
		if (i)
			bs_up_put_text(t, ",");
		bs_up_put_string(t, meta[i].key);
		bs_up_put_text(t, ":");
		bs_up_put_string(t, meta[i].text);
	}
	bs_up_put_text(t, "}");
}

static void put_entry(struct bs_up_text *t, const struct bs_up_entry *e,
		      uint64_t off)
{
	size_t i;

	bs_up_put_string(t, e->name);
	bs_up_put_text(t, ":{\"dtype\":\"");
	bs_up_put_text(t, e->dtype);
	bs_up_put_text(t, "\",\"shape\":[");
	for (i = 0; i < e->n_dims; i++) {
		if (i)
			bs_up_put_text(t, ",");
		bs_up_put_number(t, e->shape[i]);
	}
	bs_up_put_text(t, "],\"data_offsets\":[");
	bs_up_put_number(t, off);
	bs_up_put_text(t, ",");
	bs_up_put_number(t, off + e->len);
	bs_up_put_text(t, "]}");
}

enum bs_result bs_up_write_header(uint8_t **ret, size_t *ret_len,
				  const struct bs_up_entry *e, size_t n,
				  const struct bs_up_meta *meta, size_t n_meta)
{
	struct bs_up_text t = { 0 };
	uint64_t off = 0;
	size_t i;

	bs_up_put(&t, "\0\0\0\0\0\0\0\0{", 9);
	if (meta)
		put_metadata(&t, meta, n_meta);
	for (i = 0; i < n; i++) {
		if (i || meta)
			bs_up_put_text(&t, ",");
		put_entry(&t, &e[i], off);
		off += e[i].len;
	}
	bs_up_put_text(&t, "}");
	while (t.len % 8 && !t.has_failed)
		bs_up_put_text(&t, " ");
	if (t.has_failed) {
		free(t.p);
		return BS_ERR_NOMEM;
	}
	put_u64(t.p, t.len - 8);
	*ret = (uint8_t *)t.p;
	*ret_len = t.len;
	return BS_OK;
}
