/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.c - the index of a directory of shards: bigsmall.index.json, or
 * bigsmall.index.bin
 *
 * The latter has the names of tensors and shards, and no more of what is wanted.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* memmem() */
#endif

#include "index.h"

#include "../bits.h"
#include "../error.h"
#include "builder.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define INDEX_MAX (64u << 20)

struct shard_of {
	const char *tensor;
	const char *shard;
};

struct bs_index {
	cJSON *root; /* owned: what all strings are borrowed from; or, of the */
	char *names; /* binary kind, these: owned */
	struct shard_of *map; /* [n_map], owned, sorted by tensor */
	size_t n_map;
	struct bs_up_alias *aliases; /* [n_aliases], owned */
	size_t n_aliases;
	uint64_t total_len; /* of all tensors; 0: not said */
};

static const cJSON *get(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* The length of a shard's name without its extension, or 0. */
static size_t stem_len(const char *name)
{
	static const char *const extensions[] = { ".bs", ".bsd", ".bsr" };
	size_t len = strlen(name), i;

	for (i = 0; i < 3; i++) {
		size_t cut = strlen(extensions[i]);

		if (len > cut && !strcmp(name + len - cut, extensions[i]) &&
		    !strchr(name, '/'))
			return len - cut;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct shard_of *x = a, *y = b;

	return strcmp(x->tensor, y->tensor);
}

static int read_map(struct bs_index *ix)
{
	const cJSON *map = get(ix->root, "weight_map"), *item;

	cJSON_ArrayForEach(item, map)
	{
		const char *shard = item->valuestring;

		if (!cJSON_IsString(item) || !stem_len(shard))
			return 0;
		ix->map[ix->n_map++] = (struct shard_of){ item->string, shard };
	}
	if (ix->n_map)
		qsort(ix->map, ix->n_map, sizeof(*ix->map), compare);
	return 1;
}

static int read_aliases(struct bs_index *ix)
{
	const cJSON *item, *meta = get(ix->root, "metadata");
	const cJSON *total = get(meta, "total_raw_size");

	cJSON_ArrayForEach(item, get(meta, "duplicate_map"))
	{
		const cJSON *master = get(item, "master");

		if (!cJSON_IsString(master))
			return 0;
		ix->aliases[ix->n_aliases++] =
			(struct bs_up_alias){ item->string,
					      master->valuestring };
	}
	if (cJSON_IsNumber(total) && total->valuedouble > 0 &&
	    total->valuedouble < 0x1p53)
		ix->total_len = (uint64_t)total->valuedouble;
	return 1;
}

static int read_all(struct bs_index *ix)
{
	const cJSON *map = get(ix->root, "weight_map");
	const cJSON *same = get(get(ix->root, "metadata"), "duplicate_map");

	if (!cJSON_IsObject(map) || (same && !cJSON_IsObject(same)))
		return 0;
	ix->map = calloc((size_t)cJSON_GetArraySize(map) + 1, sizeof(*ix->map));
	ix->aliases = calloc((size_t)cJSON_GetArraySize(same) + 1,
			     sizeof(*ix->aliases));
	return ix->map && ix->aliases && read_map(ix) && read_aliases(ix);
}

/* ---- bigsmall.index.bin -------------------------------------------------- */

#define BINARY_VERSION 1
#define BINARY_HEAD_LEN 16 /* magic, version, two counts */

enum {
	RECORD_NAME = 0,
	RECORD_NAME_LEN = 4,
	RECORD_SHARD = 6,
	RECORD_LEN = 30
};

/* What is left of the file. */
struct bytes {
	const uint8_t *p;
	size_t left;
};

/* 'len' bytes, or NULL. */
static const uint8_t *next(struct bytes *b, uint64_t len)
{
	const uint8_t *p = b->p;

	if (len > b->left)
		return NULL;
	b->p += len;
	b->left -= (size_t)len;
	return p;
}

/* What has its length before it, a u32. */
static int next_prefixed(struct bytes *b, struct bytes *ret)
{
	const uint8_t *len = next(b, 4);

	ret->left = len ? get_u32(len) : 0;
	ret->p = len ? next(b, ret->left) : NULL;
	return ret->p != NULL;
}

/* A string of it, at *at of ix->names from now on. */
static const char *put_name(char **at, const uint8_t *p, size_t len)
{
	const char *name = *at;

	if (memchr(p, 0, len))
		return NULL;
	memcpy(*at, p, len);
	(*at)[len] = '\0';
	*at += len + 1;
	return name;
}

static int read_shards(struct bytes table, const char **shards, uint32_t n,
		       char **at)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		const uint8_t *len = next(&table, 2), *p;

		p = len ? next(&table, get_u16(len)) : NULL;
		shards[i] = p ? put_name(at, p, get_u16(len)) : NULL;
		if (!shards[i] || !stem_len(shards[i]))
			return 0;
	}
	return table.left == 0;
}

/* Names of codecs, of which none is wanted. */
static int skip_codecs(struct bytes *b)
{
	const uint8_t *n = next(b, 1), *len;
	unsigned i;

	for (i = 0; n && i < *n; i++) {
		len = next(b, 1);
		if (!len || !next(b, *len))
			return 0;
	}
	return n != NULL;
}

static int read_records(struct bs_index *ix, struct bytes names,
			const uint8_t *records, uint32_t n,
			const char *const *shards, uint32_t n_shards, char **at)
{
	for (; ix->n_map < n; ix->n_map++, records += RECORD_LEN) {
		uint32_t off = get_u32(records + RECORD_NAME);
		size_t len = get_u16(records + RECORD_NAME_LEN);
		unsigned shard = get_u16(records + RECORD_SHARD);
		const char *name = NULL;

		if (shard < n_shards && in_range(off, len, names.left))
			name = put_name(at, names.p + off, len);
		if (!name)
			return 0;
		ix->map[ix->n_map] = (struct shard_of){ name, shards[shard] };
	}
	if (n)
		qsort(ix->map, n, sizeof(*ix->map), compare);
	return 1;
}

static int has_twice(const struct bs_index *ix)
{
	size_t i;

	for (i = 1; i < ix->n_map; i++)
		if (!strcmp(ix->map[i].tensor, ix->map[i - 1].tensor))
			return 1;
	return 0;
}

static int read_binary(struct bs_index *ix, const uint8_t *p, size_t len)
{
	struct bytes b = { p, len }, table, names;
	const uint8_t *records, *head = next(&b, BINARY_HEAD_LEN);
	const char **shards = NULL;
	uint32_t n_shards, n;
	uint64_t room = 0;
	int holds = 0;
	uint32_t i;
	char *at;

	if (!head || head[4] != BINARY_VERSION || !next_prefixed(&b, &table) ||
	    !skip_codecs(&b) || !next_prefixed(&b, &names))
		return 0;
	n_shards = get_u32(head + 8);
	n = get_u32(head + 12);
	if (n_shards > table.left / 2 || (uint64_t)n * RECORD_LEN != b.left)
		return 0;
	records = b.p;
	/* Names may lie over each other, but no file is made so. */
	for (i = 0; i < n; i++)
		room += get_u16(records + (size_t)i * RECORD_LEN +
				RECORD_NAME_LEN);
	if (room > names.left)
		return 0;
	ix->names = malloc((size_t)room + n + table.left + 1);
	ix->map = calloc((size_t)n + 1, sizeof(*ix->map));
	shards = calloc((size_t)n_shards + 1, sizeof(*shards));
	at = ix->names;
	if (ix->names && ix->map && shards)
		holds = read_shards(table, shards, n_shards, &at) &&
			read_records(ix, names, records, n, shards, n_shards,
				     &at) &&
			!has_twice(ix);
	free(shards);
	return holds;
}

int bs_index_is_named(const char *name)
{
	return !strcmp(name, BS_INDEX_NAME) ||
	       !strcmp(name, BS_INDEX_BINARY_NAME);
}

enum bs_result bs_index_read(struct bs_index **ret, const struct bs_source *src,
			     struct bs_error *err)
{
	struct bs_index *ix = calloc(1, sizeof(*ix));
	size_t len = (size_t)src->size;
	int holds = 0;
	char *text;

	*ret = NULL;
	if (!ix || src->size > INDEX_MAX) {
		free(ix);
		return bs_fail(err, ix ? BS_ERR_FEATURE : BS_ERR_NOMEM, 0,
			       "the index cannot be held in memory");
	}
	text = malloc(len + 1);
	if (!text || (len && src->pread(src->ctx, text, len, 0))) {
		enum bs_result res = text ? BS_ERR_IO : BS_ERR_NOMEM;

		free(text);
		free(ix);
		return bs_fail(err, res, 0, "%s", bs_result_text(res));
	}
	if (len >= 4 && !memcmp(text, "BSIX", 4))
		holds = read_binary(ix, (const uint8_t *)text, len);
	/* cJSON's strings end at a zero. */
	else if (!memchr(text, 0, len) && !memmem(text, len, "\\u0000", 6))
		ix->root = cJSON_ParseWithLength(text, len);
	free(text);
	if (!(ix->root ? read_all(ix) : holds)) {
		bs_index_free(ix);
		return bs_fail(err, BS_ERR_CORRUPT, 0,
			       "the index is not what it should be");
	}
	*ret = ix;
	return BS_OK;
}

void bs_index_free(struct bs_index *ix)
{
	if (!ix)
		return;
	cJSON_Delete(ix->root);
	free(ix->names);
	free(ix->map);
	free(ix->aliases);
	free(ix);
}

const struct bs_up_alias *bs_up_index_aliases(const struct bs_index *ix,
					      size_t *ret_n)
{
	*ret_n = ix->n_aliases;
	return ix->aliases;
}

enum bs_result bs_up_index_write(const struct bs_index *ix, uint8_t **ret,
				 size_t *ret_len)
{
	struct bs_up_text t = { 0 };
	size_t i;

	bs_up_put_text(&t, "{\n  \"metadata\": {");
	if (ix->total_len) {
		bs_up_put_text(&t, "\n    \"total_size\": ");
		bs_up_put_number(&t, ix->total_len);
		bs_up_put_text(&t, "\n  ");
	}
	bs_up_put_text(&t, "},\n  \"weight_map\": {");
	for (i = 0; i < ix->n_map; i++) {
		const char *shard = ix->map[i].shard;
		char *name = malloc(strlen(shard) + sizeof(".safetensors"));

		bs_up_put_text(&t, i ? ",\n    " : "\n    ");
		bs_up_put_string(&t, ix->map[i].tensor);
		bs_up_put_text(&t, ": ");
		t.has_failed |= !name;
		if (name) {
			size_t len = stem_len(shard);

			memcpy(name, shard, len);
			strcpy(name + len, ".safetensors");
			bs_up_put_string(&t, name);
		}
		free(name);
	}
	bs_up_put_text(&t, ix->n_map ? "\n  }\n}\n" : "}\n}\n");
	if (t.has_failed) {
		free(t.p);
		return BS_ERR_NOMEM;
	}
	*ret = (uint8_t *)t.p;
	*ret_len = t.len;
	return BS_OK;
}
