/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.c - the index of a directory of shards: bigsmall.index.json
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* memmem() */
#endif

#include "index.h"

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
	cJSON *root; /* owned: what all strings are borrowed from */
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

enum bs_result bs_index_read(struct bs_index **ret, const struct bs_source *src,
			     struct bs_error *err)
{
	struct bs_index *ix = calloc(1, sizeof(*ix));
	size_t len = (size_t)src->size;
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
	/* cJSON's strings end at a zero. */
	if (!memchr(text, 0, len) && !memmem(text, len, "\\u0000", 6))
		ix->root = cJSON_ParseWithLength(text, len);
	free(text);
	if (!ix->root || !read_all(ix)) {
		bs_index_free(ix);
		return bs_fail(err, BS_ERR_CORRUPT, 0,
			       "the index is not the JSON it should be");
	}
	*ret = ix;
	return BS_OK;
}

void bs_index_free(struct bs_index *ix)
{
	if (!ix)
		return;
	cJSON_Delete(ix->root);
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
