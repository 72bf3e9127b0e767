/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors.c - read the header of a safetensors file
 *
 * The header is hostile until it is read whole.  A scan goes over its bytes
 * first: it refuses what no safetensors header holds (deep nesting, numbers
 * that are no plain integers, text that is no UTF-8) and bounds the memory
 * that a tree of it may take.  Only then cJSON, the library that this file
 * alone uses, builds the tree; what we keep of it is copied into one block.
 *
 * Stricter than JSON, since a file that fails here is still stored, byte for
 * byte, as an opaque one: an entry has exactly the three fields there are, no
 * name stands twice, and no byte belongs to two tensors.
 */

#include "safetensors.h"

#include "bits.h"
#include "error.h"

#include <cjson/cJSON.h>

#include <stdlib.h>
#include <string.h>

#define PREFIX_LEN 8

/* Header object, entry, shape: three levels; one more to name the culprit. */
#define DEPTH_MAX 4

/* What the header, cJSON's tree and our copy may take together.  A cJSON node
 * is 80 bytes of heap and the tensor or dimension made of it less than 96 in
 * all; a string costs its length and a heap header.  Some 200,000 tensors. */
#define MEM_MAX ((uint64_t)192 << 20)
#define MEM_NODE 96
#define MEM_STRING 40

/* The last integer before cJSON's doubles begin to skip some. */
#define INT_MAX_EXACT 9007199254740991.0

#define NAME_SHOWN 60

struct bs_st {
	struct bs_st_tensor *tensors; /* [n], by (off, name) */
	size_t n;
	struct bs_st_tensor **solid; /* [n_solid], those with bytes, by off */
	size_t n_solid;
};

struct parser {
	struct bs_st *st;
	uint64_t head_len; /* prefix included */
	uint64_t data_len;
	uint64_t *shape; /* room for the next dimension */
	char *text; /* room for the next string */
	struct bs_error *err;
};

/* A name as a sentence may show it: short, and nothing a terminal obeys. */
struct shown {
	char text[NAME_SHOWN + 4];
};

static struct shown show(const char *name)
{
	size_t len = strlen(name), n = len, i;
	struct shown ret;

	if (n > NAME_SHOWN) {
		n = NAME_SHOWN;
		while (n && ((unsigned char)name[n] & 0xc0) == 0x80)
			n--;
	}
	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];
		unsigned char d = (unsigned char)name[i + 1];
		int is_c1 = c == 0xc2 && d >= 0x80 && d < 0xa0;

		ret.text[i] = c < 0x20 || c == 0x7f ? '?' : name[i];
		if (is_c1) {
			ret.text[i] = '?';
			if (i + 1 < n)
				ret.text[++i] = '?';
		}
	}
	strcpy(ret.text + n, n < len ? "..." : "");
	return ret;
}

enum bs_result bs_st_header_len(const void *prefix, uint64_t file_size,
				uint64_t *ret, struct bs_error *err)
{
	uint64_t len;

	if (file_size < PREFIX_LEN)
		return bs_fail(
			err, BS_ERR_SYNTAX, 0,
			"the file is shorter than the 8 bytes that say how "
			"long its safetensors header is");
	len = get_u64(prefix);
	if (len > BS_ST_HEADER_MAX)
		return bs_fail(
			err, BS_ERR_SYNTAX, 0,
			"the first 8 bytes announce a safetensors header "
			"of %llu bytes; %u are the most",
			(unsigned long long)len, BS_ST_HEADER_MAX);
	if (len > file_size - PREFIX_LEN)
		return bs_fail(err, BS_ERR_SYNTAX, 0,
			       "the safetensors header of %llu bytes is longer "
			       "than the file",
			       (unsigned long long)len);
	*ret = PREFIX_LEN + len;
	return BS_OK;
}

/* ---- The scan ----------------------------------------------------------- */

/* Bytes of the UTF-8 sequence at 'p' (not ASCII), or 0 if it is none. */
static size_t utf8_len(const unsigned char *p, const unsigned char *end)
{
	size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2, i;
	uint32_t c = p[0] & (0xffu >> (n + 1));

	if (p[0] < 0xc2 || p[0] > 0xf4 || (size_t)(end - p) < n)
		return 0;
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if ((n == 3 && c < 0x800) || (c >= 0xd800 && c < 0xe000) ||
	    (n == 4 && (c < 0x10000 || c > 0x10ffff)))
		return 0;
	return n;
}

/* Bytes of the escape at 'p', or 0 if it is none or stands for a NUL, which
 * would end the C string that cJSON makes. */
static size_t escape_len(const unsigned char *p, const unsigned char *end)
{
	unsigned sum = 0, i;

	if (end - p < 2)
		return 0;
	if (p[1] != 'u')
		return p[1] && strchr("\"\\/bfnrt", p[1]) ? 2 : 0;
	if (end - p < 6)
		return 0;
	for (i = 2; i < 6; i++) {
		if (!p[i] || !strchr("0123456789abcdefABCDEF", p[i]))
			return 0;
		sum |= p[i] - '0';
	}
	return sum ? 6 : 0;
}

/* The byte after the string that begins at 'p', a quote; or NULL, and *bad
 * is the byte that no string may hold. */
static const unsigned char *skip_string(const unsigned char *p,
					const unsigned char *end,
					const unsigned char **bad)
{
	size_t n;

	for (p++; p < end && *p != '"'; p += n) {
		if (*p == '\\')
			n = escape_len(p, end);
		else if (*p >= 0x80)
			n = utf8_len(p, end);
		else
			n = *p >= 0x20;
		if (!n)
			break;
	}
	*bad = p;
	return p < end && *p == '"' ? p + 1 : NULL;
}

static int is_space(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

/*
 * Check the bytes of the JSON text before anything is built of them.  *ret_len
 * is the length of the object; only white space follows it.
 */
static enum bs_result scan(const unsigned char *json, size_t len,
			   size_t *ret_len, struct bs_error *err)
{
	const unsigned char *p = json, *end = json + len, *bad = json;
	uint64_t mem = 2 * (uint64_t)len;
	unsigned depth = 0;

	if (!len || *p != '{')
		goto odd;
	do {
		if (*p == '"') {
			mem += MEM_STRING;
			p = skip_string(p, end, &bad);
			if (!p)
				goto odd;
			continue;
		}
		bad = p;
		if (*p == '{' || *p == '[')
			depth++;
		else if (*p == '}' || *p == ']')
			depth--;
		else if (is_digit(*p) && p[-1] == '0' && !is_digit(p[-2]))
			goto odd; /* a leading zero */
		else if (!is_digit(*p) && !is_space(*p) && *p != ',' &&
			 *p != ':')
			goto odd;
		if (*p == '{' || *p == '[' || *p == ',')
			mem += MEM_NODE;
		if (depth > DEPTH_MAX)
			return bs_fail(err, BS_ERR_SYNTAX,
				       PREFIX_LEN + (uint64_t)(p - json),
				       "the safetensors header is nested too "
				       "deeply");
		p++;
	} while (depth && p < end);

	*ret_len = (size_t)(p - json);
	while (p < end && is_space(*p))
		p++;
	bad = p;
	if (depth || p < end)
		goto odd;
	if (mem > MEM_MAX)
		return bs_fail(
			err, BS_ERR_SYNTAX, PREFIX_LEN,
			"the safetensors header is too complex: to read it "
			"would take more than %u MiB",
			(unsigned)(MEM_MAX >> 20));
	return BS_OK;
odd:
	if (bad == end)
		return bs_fail(
			err, BS_ERR_SYNTAX, PREFIX_LEN + (uint64_t)len,
			"the safetensors header ends in the middle of its "
			"JSON");
	return bs_fail(
		err, BS_ERR_SYNTAX, PREFIX_LEN + (uint64_t)(bad - json),
		"the safetensors header has a byte 0x%02x at offset %llu "
		"that cannot stand there",
		*bad, PREFIX_LEN + (unsigned long long)(bad - json));
}

/* ---- From tree to tensors ----------------------------------------------- */

static int to_uint(const cJSON *item, uint64_t *ret)
{
	if (!cJSON_IsNumber(item) || item->valuedouble < 0 ||
	    item->valuedouble > INT_MAX_EXACT)
		return 0;
	*ret = (uint64_t)item->valuedouble;
	return 1;
}

static enum bs_result check_metadata(const cJSON *item, struct bs_error *err)
{
	const cJSON *c;

	if (!cJSON_IsObject(item))
		return bs_fail(
			err, BS_ERR_SYNTAX, PREFIX_LEN,
			"__metadata__ of the safetensors header is not an "
			"object");
	for (c = item->child; c; c = c->next) {
		if (!cJSON_IsString(c))
			return bs_fail(
				err, BS_ERR_SYNTAX, PREFIX_LEN,
				"__metadata__ entry '%s' is not a string",
				show(c->string).text);
	}
	return BS_OK;
}

struct fields {
	const cJSON *dtype, *shape, *offsets;
};

static enum bs_result get_fields(const cJSON *item, struct fields *f,
				 struct bs_error *err)
{
	const cJSON *c, **slot;

	memset(f, 0, sizeof(*f));
	if (!cJSON_IsObject(item))
		return bs_fail(err, BS_ERR_SYNTAX, PREFIX_LEN,
			       "the entry of tensor '%s' is not an object",
			       show(item->string).text);
	for (c = item->child; c; c = c->next) {
		if (!strcmp(c->string, "dtype"))
			slot = &f->dtype;
		else if (!strcmp(c->string, "shape"))
			slot = &f->shape;
		else if (!strcmp(c->string, "data_offsets"))
			slot = &f->offsets;
		else
			return bs_fail(err, BS_ERR_SYNTAX, PREFIX_LEN,
				       "tensor '%s' has an unknown field '%s'",
				       show(item->string).text,
				       show(c->string).text);
		if (*slot)
			return bs_fail(err, BS_ERR_SYNTAX, PREFIX_LEN,
				       "tensor '%s' has its field '%s' twice",
				       show(item->string).text, c->string);
		*slot = c;
	}
	if (!cJSON_IsString(f->dtype) || !cJSON_IsArray(f->shape) ||
	    !cJSON_IsArray(f->offsets))
		return bs_fail(
			err, BS_ERR_SYNTAX, PREFIX_LEN,
			"tensor '%s' lacks a dtype, shape or data_offsets "
			"of the right kind",
			show(item->string).text);
	return BS_OK;
}

/* Set off and len from [begin, end], which count from the data's start. */
static enum bs_result put_range(struct parser *ps, struct bs_st_tensor *t,
				const cJSON *offsets)
{
	const cJSON *c = offsets->child;
	uint64_t begin, end;

	if (!c || !c->next || c->next->next || !to_uint(c, &begin) ||
	    !to_uint(c->next, &end))
		return bs_fail(ps->err, BS_ERR_SYNTAX, PREFIX_LEN,
			       "tensor '%s': data_offsets are not two integers "
			       "below 2^53",
			       show(t->name).text);
	if (begin > end || end > ps->data_len)
		return bs_fail(
			ps->err, BS_ERR_SYNTAX, ps->head_len + begin,
			"tensor '%s': data_offsets %llu to %llu do not lie "
			"in the %llu bytes after the header",
			show(t->name).text, (unsigned long long)begin,
			(unsigned long long)end,
			(unsigned long long)ps->data_len);
	t->off = ps->head_len + begin;
	t->len = end - begin;
	return BS_OK;
}

/* Set the shape, and hold it against the length where the dtype is known. */
static enum bs_result put_shape(struct parser *ps, struct bs_st_tensor *t,
				const cJSON *shape)
{
	uint64_t n_bits = bs_dtype_bits(t->dtype);
	int does_overflow = 0;
	const cJSON *c;

	t->shape = ps->shape;
	for (c = shape->child; c; c = c->next) {
		if (!to_uint(c, ps->shape))
			return bs_fail(ps->err, BS_ERR_SYNTAX, PREFIX_LEN,
				       "tensor '%s': its shape has a dimension "
				       "that is no integer below 2^53",
				       show(t->name).text);
		does_overflow |=
			__builtin_mul_overflow(n_bits, *ps->shape, &n_bits);
		ps->shape++;
		t->n_dims++;
	}
	if (t->is_known && (does_overflow || n_bits != 8 * t->len))
		return bs_fail(
			ps->err, BS_ERR_SYNTAX, t->off,
			"tensor '%s' at offset %llu: its %s shape does not "
			"match its %llu bytes",
			show(t->name).text, (unsigned long long)t->off,
			t->dtype_name, (unsigned long long)t->len);
	return BS_OK;
}

static const char *put_text(struct parser *ps, const char *s)
{
	size_t len = strlen(s) + 1;
	char *ret = memcpy(ps->text, s, len);

	ps->text += len;
	return ret;
}

static void put_dtype(struct parser *ps, struct bs_st_tensor *t,
		      const char *name)
{
	unsigned i;

	for (i = BS_DTYPE_BYTES + 1; i < BS_DTYPE_N; i++) {
		if (!strcmp(name, bs_dtype_name(i))) {
			t->dtype = (uint8_t)i;
			t->dtype_name = bs_dtype_name(i);
			t->is_known = 1;
			return;
		}
	}
	t->dtype = BS_DTYPE_BYTES;
	t->dtype_name = put_text(ps, name);
}

static enum bs_result put_tensor(struct parser *ps, const cJSON *item)
{
	struct bs_st_tensor *t = &ps->st->tensors[ps->st->n++];
	enum bs_result res;
	struct fields f;

	res = get_fields(item, &f, ps->err);
	if (res)
		return res;
	t->name = put_text(ps, item->string);
	put_dtype(ps, t, f.dtype->valuestring);
	res = put_range(ps, t, f.offsets);
	if (res)
		return res;
	return put_shape(ps, t, f.shape);
}

static int by_name(const void *a, const void *b)
{
	const struct bs_st_tensor *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int by_offset(const void *a, const void *b)
{
	const struct bs_st_tensor *x = a, *y = b;

	if (x->off != y->off)
		return x->off < y->off ? -1 : 1;
	return strcmp(x->name, y->name);
}

static enum bs_result sort_tensors(struct bs_st *st, struct bs_error *err)
{
	struct bs_st_tensor *t = st->tensors, *last;
	size_t i;

	if (!st->n)
		return BS_OK;
	qsort(t, st->n, sizeof(*t), by_name);
	for (i = 1; i < st->n; i++) {
		if (!strcmp(t[i - 1].name, t[i].name))
			return bs_fail(err, BS_ERR_SYNTAX, PREFIX_LEN,
				       "tensor '%s' stands twice in the header",
				       show(t[i].name).text);
	}
	qsort(t, st->n, sizeof(*t), by_offset);
	for (i = 0; i < st->n; i++) {
		if (!t[i].len)
			continue;
		last = st->n_solid ? st->solid[st->n_solid - 1] : NULL;
		if (last && last->off + last->len > t[i].off)
			return bs_fail(
				err, BS_ERR_SYNTAX, t[i].off,
				"tensors '%s' and '%s' overlap at offset "
				"%llu",
				show(last->name).text, show(t[i].name).text,
				(unsigned long long)t[i].off);
		st->solid[st->n_solid++] = &t[i];
	}
	return BS_OK;
}

/* Allocate, in one block, a bs_st with room for all that 'top' holds. */
static struct bs_st *new_st(struct parser *ps, const cJSON *top)
{
	size_t n = 0, n_dims = 0, n_text = 0;
	const cJSON *item, *c;
	struct bs_st *st;

	for (item = top->child; item; item = item->next) {
		n++;
		n_text += strlen(item->string) + 1;
		for (c = item->child; c; c = c->next) {
			if (cJSON_IsString(c))
				n_text += strlen(c->valuestring) + 1;
			else if (!cJSON_IsArray(c) || !c->string)
				continue;
			else if (!strcmp(c->string, "shape"))
				n_dims += (size_t)cJSON_GetArraySize(c);
		}
	}
	st = calloc(1, sizeof(*st) +
			       n * (sizeof(*st->tensors) + sizeof(*st->solid)) +
			       n_dims * sizeof(*ps->shape) + n_text);
	if (!st)
		return NULL;
	st->tensors = (struct bs_st_tensor *)(void *)(st + 1);
	st->solid = (struct bs_st_tensor **)(void *)(st->tensors + n);
	ps->shape = (uint64_t *)(void *)(st->solid + n);
	ps->text = (char *)(ps->shape + n_dims);
	ps->st = st;
	return st;
}

static enum bs_result read_tree(struct parser *ps, const cJSON *top)
{
	enum bs_result res;
	const cJSON *item;
	int n_metadata = 0;

	if (!new_st(ps, top))
		return bs_fail(ps->err, BS_ERR_NOMEM, 0,
			       "out of memory for the safetensors header");
	for (item = top->child; item; item = item->next) {
		if (strcmp(item->string, "__metadata__"))
			res = put_tensor(ps, item);
		else if (n_metadata++)
			res = bs_fail(
				ps->err, BS_ERR_SYNTAX, PREFIX_LEN,
				"__metadata__ stands twice in the header");
		else
			res = check_metadata(item, ps->err);
		if (res)
			return res;
	}
	return sort_tensors(ps->st, ps->err);
}

enum bs_result bs_st_parse(struct bs_st **ret, const void *head, size_t len,
			   uint64_t file_size, struct bs_error *err)
{
	const char *json = (const char *)head + PREFIX_LEN, *end = json;
	struct parser ps = { .head_len = len, .err = err };
	enum bs_result res;
	uint64_t want;
	size_t n_json = 0;
	cJSON *top;

	*ret = NULL;
	if (len < PREFIX_LEN)
		return bs_fail(err, BS_ERR_PARAM, 0, "header cut short");
	res = bs_st_header_len(head, file_size, &want, err);
	if (res)
		return res;
	if (want != len)
		return bs_fail(err, BS_ERR_PARAM, 0, "header cut short");
	res = scan((const unsigned char *)json, len - PREFIX_LEN, &n_json, err);
	if (res)
		return res;

	ps.data_len = file_size - len;
	/* The scan ended at the brace that closes the object: cJSON either uses
	 * all that it is given or finds an error.  It does not tell the error
	 * from a lack of memory. */
	top = cJSON_ParseWithLengthOpts(json, n_json, &end, 0);
	if (!top)
		return bs_fail(err, BS_ERR_SYNTAX,
			       PREFIX_LEN + (uint64_t)(end - json),
			       "the safetensors header is not valid JSON at "
			       "offset %llu",
			       PREFIX_LEN + (unsigned long long)(end - json));
	res = read_tree(&ps, top);
	cJSON_Delete(top);
	if (res) {
		bs_st_free(ps.st);
		return res;
	}
	*ret = ps.st;
	return BS_OK;
}

void bs_st_free(struct bs_st *st)
{
	free(st);
}

size_t bs_st_n_tensors(const struct bs_st *st)
{
	return st->n;
}

const struct bs_st_tensor *bs_st_tensor(const struct bs_st *st, size_t i)
{
	return &st->tensors[i];
}

const struct bs_st_tensor *bs_st_tensor_at(const struct bs_st *st, uint64_t off)
{
	size_t lo = 0, hi = st->n_solid;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct bs_st_tensor *t = st->solid[mid];

		if (off < t->off)
			hi = mid;
		else if (off - t->off < t->len)
			return t;
		else
			lo = mid + 1;
	}
	return NULL;
}
