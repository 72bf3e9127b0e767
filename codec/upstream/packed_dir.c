/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packed_dir.c - a .bsd's 4-bit tensors as a directory that loads by itself
 *
 * The layout is compressed-tensors' "pack-quantized", which transformers and vLLM
 * read: docs/upstream.md.  A loader that finds another tensor than it expects
 * takes random numbers for it, so only what is known to be a linear layer's
 * matrix, whatever the model, is packed; all else has the BF16 words that its
 * 4-bit values stand for.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1 /* stpcpy() */
#endif

#include "packed_dir.h"

#include "../bits.h"
#include "../error.h"
#include "../safetensors.h"
#include "builder.h"
#include "packed.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT ".weight"
#define PAIR 16 /* bytes of a matrix's shape */

/* What kernels of loaders have; the largest that fits is taken. */
static const uint32_t group_lens[] = { 128, 64, 32 };

/* So that what follows a matrix's scales is aligned. */
#define ROWS_MULTIPLE 4

/* Linear layers, by the last part of their names: whatever the model. */
static const char *const layers[] = {
	"q_proj",    "k_proj",	     "v_proj",	  "o_proj",
	"out_proj",  "qkv_proj",     "gate_proj", "up_proj",
	"down_proj", "gate_up_proj", "fc1",	  "fc2",
};

/* The same of a mixture's experts, which are called so as well. */
#define EXPERTS ".experts."
static const char *const expert_layers[] = { "w1", "w2", "w3" };

#define LOSSY                                                          \
	"LOSSY: 4-bit weights, not the model's own, which are in the " \
	".safetensors of this directory's name"

/* ---- What lies beside the .bsd ------------------------------------------- */

static const char *const links[] = {
	"../added_tokens.json",
	"../chat_template.jinja",
	"../chat_template.json",
	"../generation_config.json",
	"../merges.txt",
	"../preprocessor_config.json",
	"../processor_config.json",
	"../sentencepiece.bpe.model",
	"../special_tokens_map.json",
	"../spiece.model",
	"../tekken.json",
	"../tokenizer.json",
	"../tokenizer.model",
	"../tokenizer_config.json",
	"../vocab.json",
	"../vocab.txt",
};

#define N_LINKS (sizeof(links) / sizeof(*links))
#define UP_LEN 3 /* "../" */

const char *bs_int4_link(unsigned i)
{
	return i < N_LINKS ? links[i] + UP_LEN : NULL;
}

enum bs_result bs_int4_config_check(const char *config, size_t len,
				    struct bs_error *err)
{
	const char *end = config;
	cJSON *root = NULL;
	int is_object, has_own;

	if (len <= BS_INT4_CONFIG_MAX && !memchr(config, 0, len))
		root = cJSON_ParseWithLengthOpts(config, len, &end, 0);
	while (root && end < config + len && strchr(" \t\r\n", *end))
		end++;
	is_object = cJSON_IsObject(root) && end == config + len;
	has_own = cJSON_HasObjectItem(root, "quantization_config");
	cJSON_Delete(root);
	if (!is_object)
		return bs_fail(err, BS_ERR_SYNTAX, 0,
			       "it is not the JSON it should be");
	if (has_own)
		return bs_fail(err, BS_ERR_SYNTAX, 0,
			       "it has a quantization_config of its own");
	return BS_OK;
}

/* ---- Tensors ------------------------------------------------------------- */

/* A tensor as it is shown. */
struct shown {
	const struct bs_up_entry *e; /* of the source */
	struct bs_up_tensor *t; /* NULL: without bytes */
	int is_fast; /* by its 4-bit values */
	int is_packed;
};

struct layout {
	struct bs_up_file *f;
	const struct bs_int4_dir *dir;
	struct shown *shown; /* [n], owned; by name */
	size_t n;
	uint32_t group; /* in the file */
	uint32_t shown_group; /* 0: nothing is packed */
	size_t n_packed, n_dense, n_exact;
	struct bs_up_entry *entries; /* [n_entries], owned: of the header */
	size_t n_entries;
	char *names; /* owned: those that the source does not have */
	uint64_t *shapes; /* likewise */
	struct bs_up_text text; /* the made-up bytes; f->head in the end */
	int is_too_large;
};

static int ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), end_len = strlen(end);

	return len >= end_len && !strcmp(s + len - end_len, end);
}

static int is_matrix(const struct bs_up_entry *e)
{
	return e->n_dims == 2 && ends_with(e->name, WEIGHT);
}

static int is_expert(const char *name)
{
	return strstr(name, EXPERTS) != NULL;
}

/* Whether it is "....PART.weight". */
static int is_called(const char *name, const char *part)
{
	size_t len = strlen(name), part_len = strlen(part);
	size_t tail = part_len + strlen(WEIGHT);

	return len > tail && name[len - tail - 1] == '.' &&
	       !strncmp(name + len - tail, part, part_len);
}

static int is_layer(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(layers) / sizeof(*layers); i++)
		if (is_called(name, layers[i]))
			return 1;
	for (i = 0; i < sizeof(expert_layers) / sizeof(*expert_layers); i++)
		if (is_expert(name) && is_called(name, expert_layers[i]))
			return 1;
	return 0;
}

/* The most that one scale can have of the rows of a matrix; 0: none can. */
static uint32_t group_of(const struct layout *l, const struct bs_up_entry *e)
{
	size_t i;

	for (i = 0; i < sizeof(group_lens) / sizeof(*group_lens); i++)
		if (e->shape[1] % group_lens[i] == 0 &&
		    l->group % group_lens[i] == 0)
			return group_lens[i];
	return 0;
}

static int is_packable(const struct layout *l, const struct shown *s)
{
	return s->is_fast && is_matrix(s->e) && is_layer(s->e->name) &&
	       group_of(l, s->e) && s->e->shape[0] % ROWS_MULTIPLE == 0;
}

/* How each is shown, and with one length of group for all.  A mixture's experts
 * are joined by who loads them, so they have to be alike. */
static void choose(struct layout *l)
{
	int is_alike = 1;
	size_t i;

	for (i = 0; i < l->n; i++) {
		struct shown *s = &l->shown[i];

		s->is_packed = is_packable(l, s);
		is_alike = is_alike && (s->is_packed || !is_matrix(s->e) ||
					!is_expert(s->e->name));
	}
	for (i = 0; i < l->n; i++) {
		struct shown *s = &l->shown[i];
		uint32_t group = 0;

		s->is_packed = s->is_packed && is_alike;
		if (s->is_packed)
			group = group_of(l, s->e);
		if (group && (!l->shown_group || group < l->shown_group))
			l->shown_group = group;
		l->n_packed += (size_t)s->is_packed;
		l->n_dense += s->is_fast && !s->is_packed;
		l->n_exact += !s->is_fast;
	}
}

static void show_by_values(const struct layout *l, const struct shown *s)
{
	struct bs_up_tensor *t = s->t;

	t->fast.n = t->raw_len / 2;
	t->fast.shown = s->is_packed ? l->shown_group : 0;
	t->codec = bs_up_codec_packed();
	t->raw_len = bs_up_packed_len(&t->fast);
}

static int compare_shown(const void *a, const void *b)
{
	const struct shown *x = a, *y = b;

	return strcmp(x->e->name, y->e->name);
}

static enum bs_result init(struct layout *l, const struct bs_up_entry *e,
			   size_t n)
{
	size_t i, names_len = 1;

	l->n = n;
	l->shown = calloc(n + 1, sizeof(*l->shown));
	for (i = 0; i < n; i++)
		names_len += 3 * (strlen(e[i].name) + sizeof("_packed"));
	l->entries = calloc(3 * n + 1, sizeof(*l->entries));
	l->names = malloc(names_len);
	l->shapes = calloc(5 * n + 1, sizeof(*l->shapes));
	l->f->extents = calloc(3 * n + 4, sizeof(*l->f->extents));
	l->f->members = calloc(N_LINKS + 3, sizeof(*l->f->members));
	if (!l->shown || !l->entries || !l->names || !l->shapes ||
	    !l->f->extents || !l->f->members)
		return BS_ERR_NOMEM;
	for (i = 0; i < n; i++) {
		struct shown *s = &l->shown[i];

		s->e = &e[i];
		if (e[i].len)
			s->t = &l->f->tensors[e[i].blob - 1];
		s->is_fast = s->t && s->t->codec == bs_up_codec_dual();
		if (s->is_fast)
			l->group = s->t->fast.group; /* one for the file */
	}
	qsort(l->shown, n, sizeof(*l->shown), compare_shown);
	choose(l);
	for (i = 0; i < n; i++)
		if (l->shown[i].is_fast)
			show_by_values(l, &l->shown[i]);
	return BS_OK;
}

/* ---- The header of model.safetensors -------------------------------------- */

/* One of the three that a packed matrix is; *names and *shapes go on. */
static void add_part(struct layout *l, const struct shown *s, const char *end,
		     const char *dtype, uint64_t len, char **names)
{
	struct bs_up_entry *e = &l->entries[l->n_entries++];

	e->name = *names;
	*names = stpcpy(stpcpy(*names, s->e->name), end) + 1;
	e->dtype = dtype;
	e->len = len;
}

static void set_shape(struct bs_up_entry *e, uint64_t **shapes, size_t n,
		      uint64_t a, uint64_t b)
{
	e->shape = *shapes;
	e->n_dims = n;
	(*shapes)[0] = a;
	if (n > 1)
		(*shapes)[1] = b;
	*shapes += n;
}

/* The shapes of matrices, then their values and scales in turns, then the rest
 * as it would be without them. */
static void list_entries(struct layout *l)
{
	char *names = l->names;
	uint64_t *shapes = l->shapes;
	struct bs_up_entry *rest;
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct shown *s = &l->shown[i];

		if (!s->is_packed)
			continue;
		add_part(l, s, "_shape", "I64", PAIR, &names);
		set_shape(&l->entries[l->n_entries - 1], &shapes, 1, 2, 0);
	}
	for (i = 0; i < l->n; i++) {
		const struct shown *s = &l->shown[i];
		uint64_t len =
			s->is_packed ? bs_up_packed_values_len(&s->t->fast) : 0;

		if (!s->is_packed)
			continue;
		add_part(l, s, "_packed", "I32", len, &names);
		set_shape(&l->entries[l->n_entries - 1], &shapes, 2,
			  s->e->shape[0], s->e->shape[1] / 8);
		add_part(l, s, "_scale", "BF16", s->t->raw_len - len, &names);
		set_shape(&l->entries[l->n_entries - 1], &shapes, 2,
			  s->e->shape[0], s->e->shape[1] / l->shown_group);
	}
	rest = l->entries + l->n_entries;
	for (i = 0; i < l->n; i++)
		if (!l->shown[i].is_packed)
			l->entries[l->n_entries++] = *l->shown[i].e;
	bs_up_sort_entries(rest, (size_t)(l->entries + l->n_entries - rest));
}

/* ---- Texts --------------------------------------------------------------- */

static void put_module(struct bs_up_text *t, const char *name)
{
	char *module = strdup(name);

	t->has_failed |= !module;
	if (!module)
		return;
	module[strlen(name) - strlen(WEIGHT)] = '\0';
	bs_up_put_string(t, module);
	free(module);
}

/* What "quantization_config" is. */
static void put_quantization(struct layout *l, const char *indent)
{
	struct bs_up_text *t = &l->text;
	size_t i;

	bs_up_put_text(t, "{\"quant_method\": \"compressed-tensors\", "
			  "\"format\": \"pack-quantized\", "
			  "\"quantization_status\": \"compressed\",");
	bs_up_put_text(t, indent);
	bs_up_put_text(t, "\"global_compression_ratio\": null, "
			  "\"kv_cache_scheme\": null,");
	bs_up_put_text(t, indent);
	bs_up_put_text(t, "\"config_groups\": {\"group_0\": {"
			  "\"targets\": [\"Linear\"], "
			  "\"input_activations\": null, "
			  "\"output_activations\": null,");
	bs_up_put_text(t, indent);
	bs_up_put_text(t, "\"weights\": {\"num_bits\": 4, \"type\": \"int\", "
			  "\"symmetric\": true, \"strategy\": \"group\", "
			  "\"group_size\": ");
	bs_up_put_number(t, l->shown_group);
	bs_up_put_text(t, ", \"dynamic\": false}}},");
	bs_up_put_text(t, indent);
	bs_up_put_text(t, "\"ignore\": [\"re:.*lm_head\"");
	for (i = 0; i < l->n; i++) {
		if (!is_matrix(l->shown[i].e) || l->shown[i].is_packed)
			continue;
		bs_up_put_text(t, ",");
		bs_up_put_text(t, indent);
		put_module(t, l->shown[i].e->name);
	}
	bs_up_put_text(t, "]}");
}

/* The model's config.json, letter for letter, and what we add before its last
 * brace. */
static void put_config(struct layout *l)
{
	const char *config = l->dir->config;
	size_t len = l->dir->config_len;
	struct bs_up_text *t = &l->text;

	while (len && config[len - 1] != '}')
		len--;
	len--;
	while (len && strchr(" \t\r\n", config[len - 1]))
		len--;
	bs_up_put(t, config, len);
	if (config[len - 1] != '{')
		bs_up_put_text(t, ",");
	bs_up_put_text(t, "\n  \"bigsmall_note\": \"" LOSSY "\"");
	if (l->shown_group) {
		bs_up_put_text(t, ",\n  \"quantization_config\": ");
		put_quantization(l, "\n    ");
	}
	bs_up_put_text(t, "\n}\n");
}

static void put_count(struct bs_up_text *t, size_t n, const char *what)
{
	if (!n)
		return;
	bs_up_put_text(t, "- ");
	bs_up_put_number(t, n);
	bs_up_put_text(t, n == 1 ? " tensor " : " tensors ");
	bs_up_put_text(t, what);
	bs_up_put_text(t, "\n");
}

static void put_readme(struct layout *l)
{
	struct bs_up_text *t = &l->text;

	bs_up_put_text(
		t,
		"# " LOSSY "\n\n"
		"A .bsd of BigSmall (Python) has a model twice: exactly, and in 4 "
		"bits. This directory shows\nthe 4-bit values. Who wants the model "
		"itself loads the .safetensors beside this directory.\n\n"
		"How they were made: of each ");
	bs_up_put_number(t, l->group);
	bs_up_put_text(
		t,
		" weights that follow each other, the greatest magnitude divided by 7 "
		"is\nthe scale, in BF16; each weight is the nearest whole multiple of "
		"it, -7 to 7. Nothing was calibrated.\n\n"
		"model.safetensors has\n\n");
	put_count(t, l->n_packed,
		  "in 4 bits, as compressed-tensors' pack-quantized has them");
	put_count(t, l->n_dense,
		  "in BF16, whose values are those of 4 bits all the same");
	put_count(t, l->n_exact, "as the model has them");
	bs_up_put_text(t, "\n");
	if (l->dir->config)
		bs_up_put_text(
			t,
			"config.json is the model's, and says how the weights are "
			"stored: this directory loads in\ntransformers (with "
			"compressed-tensors) and in vLLM by its path.\n");
	else if (l->shown_group)
		bs_up_put_text(
			t,
			"There is no config.json that could be used beside the .bsd. "
			"quantization_config.json has\nwhat belongs into the model's "
			"under \"quantization_config\".\n");
	else
		bs_up_put_text(
			t,
			"There is no config.json that could be used beside the "
			".bsd.\n");
}

/* ---- The directory -------------------------------------------------------- */

/* A file of what was made up from 'from' on. */
static struct bs_up_member *add_file(struct layout *l, const char *name,
				     size_t from)
{
	struct bs_up_file *f = l->f;
	struct bs_up_member *m = &f->members[f->n_members++];

	m->name = name;
	m->size = l->text.len - from;
	m->first_extent = f->n_extents;
	m->n_extents = 1;
	f->extents[f->n_extents++] =
		(struct bs_extent){ .len = m->size, .blob_off = from };
	return m;
}

static void add_extent(struct layout *l, struct bs_up_member *m, uint64_t len,
		       uint64_t blob, uint64_t blob_off)
{
	struct bs_up_file *f = l->f;

	f->extents[f->n_extents++] =
		(struct bs_extent){ m->size, len, blob, blob_off };
	m->n_extents++;
	l->is_too_large |= __builtin_add_overflow(m->size, len, &m->size) ||
			   m->size > INT64_MAX;
}

/* The data behind the header and the shapes, in the order of the entries. */
static void add_data(struct layout *l, struct bs_up_member *m)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct shown *s = &l->shown[i];
		uint64_t len;

		if (!s->is_packed)
			continue;
		len = bs_up_packed_values_len(&s->t->fast);
		add_extent(l, m, len, s->e->blob, 0);
		add_extent(l, m, s->t->raw_len - len, s->e->blob, len);
	}
	for (i = 3 * l->n_packed; i < l->n_entries; i++)
		if (l->entries[i].len)
			add_extent(l, m, l->entries[i].len, l->entries[i].blob,
				   0);
}

static void put_shapes(struct layout *l)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		const uint64_t *shape = l->shown[i].e->shape;
		uint8_t b[PAIR];

		if (!l->shown[i].is_packed)
			continue;
		put_u64(b, shape[0]);
		put_u64(b + 8, shape[1]);
		bs_up_put(&l->text, (const char *)b, PAIR);
	}
}

static enum bs_result add_model(struct layout *l)
{
	static const struct bs_up_meta meta[] = { { "bigsmall", LOSSY },
						  { "format", "pt" } };
	size_t from = l->text.len, head_len;
	struct bs_up_member *m;
	struct bs_st *st;
	enum bs_result res;
	uint8_t *head;

	list_entries(l);
	res = bs_up_write_header(&head, &head_len, l->entries, l->n_entries,
				 meta, 2);
	if (res)
		return res;
	bs_up_put(&l->text, (const char *)head, head_len);
	put_shapes(l);
	m = add_file(l, "model.safetensors", from);
	add_data(l, m);
	res = l->is_too_large ? BS_ERR_CORRUPT
			      : bs_st_parse(&st, head, head_len, m->size, NULL);
	if (!res)
		bs_st_free(st);
	free(head);
	return res == BS_ERR_SYNTAX ? BS_ERR_CORRUPT : res;
}

static int compare_members(const void *a, const void *b)
{
	const struct bs_up_member *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static enum bs_result add_members(struct layout *l)
{
	struct bs_up_file *f = l->f;
	size_t from = 0, i;
	enum bs_result res;

	put_readme(l);
	add_file(l, "README.md", from);
	from = l->text.len;
	if (l->dir->config) {
		put_config(l);
		add_file(l, "config.json", from);
	} else if (l->shown_group) {
		put_quantization(l, "\n  ");
		bs_up_put_text(&l->text, "\n");
		add_file(l, "quantization_config.json", from);
	}
	res = add_model(l);
	if (res)
		return res;
	for (i = 0; i < N_LINKS; i++)
		if (l->dir->links >> i & 1)
			f->members[f->n_members++] = (struct bs_up_member){
				.name = bs_int4_link((unsigned)i),
				.target = links[i]
			};
	qsort(f->members, f->n_members, sizeof(*f->members), compare_members);
	return l->text.has_failed ? BS_ERR_NOMEM : BS_OK;
}

enum bs_result bs_up_packed_lay_out(struct bs_up_file *f,
				    const struct bs_up_entry *e, size_t n,
				    const struct bs_int4_dir *dir)
{
	struct layout l = { .f = f, .dir = dir };
	enum bs_result res = init(&l, e, n);
	size_t i;

	if (!res)
		res = add_members(&l);
	if (res) {
		free(l.text.p);
	} else {
		f->head = (uint8_t *)l.text.p;
		f->head_len = l.text.len;
		f->summary.is_bundle = 1;
		f->summary.suffix[0] = '\0';
		f->summary.mode = 0755;
		f->summary.n_members = f->n_members;
		for (i = 0; i < f->n_members; i++)
			f->summary.size += f->members[i].size;
	}
	free(l.shown);
	free(l.entries);
	free(l.names);
	free(l.shapes);
	return res;
}
