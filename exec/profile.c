/* SPDX-License-Identifier: Apache-2.0 */
/*
 * profile.c - reading what a machine can do, as it was kept
 *
 * The file is anybody's: whatever is missing, of another kind or beyond what
 * any machine does makes all of it worthless, and it is measured again.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "hparams.h"

#define VERSION 1

/* Bytes a second that no machine falls below or goes beyond. */
#define RATE_MIN 1e3
#define RATE_MAX 1e15
#define ROUND_MAX 1e6 /* microseconds */

static enum bsx_result damaged(struct bsx_error *err)
{
	return bsx_fail(err, BSX_ERR_DATA, "it is no profile of a machine.");
}

static enum bsx_result get_real(struct bsx_config *c, const char *key,
				double min, double max, double *ret,
				struct bsx_error *err)
{
	double v = -1;

	if (!c || bsx_config_real(c, key, min, max, &v, err) || v < 0)
		return damaged(err);
	*ret = v;
	return BSX_OK;
}

static enum bsx_result get_rate(struct bsx_config *c, const char *key,
				double *ret, struct bsx_error *err)
{
	return get_real(c, key, RATE_MIN, RATE_MAX, ret, err);
}

static enum bsx_result get_text(struct bsx_config *c, const char *key,
				char *ret, size_t len, struct bsx_error *err)
{
	const char *text = NULL;

	if (!c || bsx_config_text(c, key, &text, err) || !text ||
	    strlen(text) >= len)
		return damaged(err);
	strcpy(ret, text);
	return BSX_OK;
}

/* What one crew did: "alone" or "together". */
static enum bsx_result read_crew(struct bsx_config *c, struct bsx_speed *speed,
				 double *decode, struct bsx_error *err)
{
	static const char *const products[] = { "product_bf16", "product_f16",
						"product_f32" };
	static const char *const decodes[] = { "decode_bf16", "decode_f16",
					       "decode_f32", "decode_f8_e4m3" };
	enum bsx_result res;
	size_t i;

	res = get_rate(c, "memory_read", &speed->read, err);
	if (!res)
		res = get_real(c, "round_us", 0, ROUND_MAX, &speed->round, err);
	speed->round /= 1e6;
	for (i = 0; !res && i < BSX_N_WEIGHT_TYPES; i++)
		res = get_rate(c, products[i], &speed->product[i], err);
	for (i = 0; !res && i < BSX_N_DECODED; i++)
		res = get_rate(c, decodes[i], &decode[i], err);
	return res;
}

static enum bsx_result read_disk(struct bsx_config *c, struct bsx_disk *ret,
				 struct bsx_error *err)
{
	enum bsx_result res;

	res = get_text(c, "id", ret->id, sizeof(ret->id), err);
	if (!res)
		res = get_rate(c, "read", &ret->rate, err);
	if (!res && bsx_config_bool(c, "direct", &ret->is_direct, err))
		res = damaged(err);
	return res;
}

static enum bsx_result read_all(struct bsx_profile *p, struct bsx_config *c,
				struct bsx_error *err)
{
	static const char *const crews[] = { "alone", "together" };
	enum bsx_result res;
	uint32_t version = 0;
	char key[32];
	unsigned i;

	if (bsx_config_uint(c, "version", VERSION, VERSION, &version, err) ||
	    !version)
		return damaged(err);
	res = get_text(c, "machine", p->machine, sizeof(p->machine), err);
	if (!res && (bsx_config_uint(c, "cpus", 1, 1 << 20, &p->n_cpus, err) ||
		     !p->n_cpus))
		res = damaged(err);
	for (i = 0; !res && i < BSX_N_CREWS; i++)
		res = read_crew(bsx_config_inner(c, crews[i]), &p->speed[i],
				p->decode[i], err);
	for (; !res && p->n_disks < BSX_MAX_DISKS; p->n_disks++) {
		snprintf(key, sizeof(key), "disk_%u", (unsigned)p->n_disks);
		if (!bsx_config_has(c, key))
			break;
		res = read_disk(bsx_config_inner(c, key), &p->disks[p->n_disks],
				err);
	}
	return res;
}

enum bsx_result bsx_profile_read(struct bsx_profile *ret, const char *path,
				 struct bsx_error *err)
{
	int here = AT_FDCWD;
	const struct bsx_folder anywhere = { "", bsx_open_at, &here };
	struct bsx_config *c;
	enum bsx_result res;

	memset(ret, 0, sizeof(*ret));
	res = bsx_config_read(&c, &anywhere, path, err);
	if (res)
		return res;
	res = read_all(ret, c, err);
	bsx_config_free(c);
	return res;
}
