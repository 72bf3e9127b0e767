/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain.c - zstd: general-purpose coding of bytes that are no weights
 *
 * The only file that includes zstd.  Contexts are made beforehand, so that
 * decoding allocates nothing.
 */

#include "plain.h"

#include "bits.h"

#include <stdlib.h>
#include <zstd.h>

/* zstd's own default: what comes here is headers and small files, a thousandth
 * of a model, or integers, where higher levels find little more. */
#define LEVEL 3

struct bs_zstd {
	ZSTD_CCtx *c; /* owned, made at first use */
	ZSTD_DCtx *d; /* owned */
};

enum bs_result bs_zstd_new(struct bs_zstd **ret)
{
	struct bs_zstd *z = calloc(1, sizeof(*z));

	*ret = z;
	if (!z)
		return BS_ERR_NOMEM;
	z->d = ZSTD_createDCtx();
	if (!z->d) {
		free(z);
		*ret = NULL;
		return BS_ERR_NOMEM;
	}
	return BS_OK;
}

void bs_zstd_free(struct bs_zstd *z)
{
	if (!z)
		return;
	ZSTD_freeCCtx(z->c);
	ZSTD_freeDCtx(z->d);
	free(z);
}

size_t bs_zstd_encode(struct bs_zstd *z, void *dst, size_t cap, const void *src,
		      size_t len)
{
	size_t n;

	if (!z->c)
		z->c = ZSTD_createCCtx();
	if (!z->c)
		return 0;
	n = ZSTD_compressCCtx(z->c, dst, cap, src, len, LEVEL);
	return ZSTD_isError(n) ? 0 : n;
}

enum bs_result bs_zstd_decode(struct bs_zstd *z, void *dst, size_t dst_len,
			      const void *src, size_t len)
{
	size_t n;

	/* Debian's library reads the formats of before 2016 as well, which
	 * nobody writes, and allocates for it. */
	if (len < 4 || get_u32(src) != ZSTD_MAGICNUMBER)
		return BS_ERR_CORRUPT;
	if (ZSTD_findFrameCompressedSize(src, len) != len)
		return BS_ERR_CORRUPT;
	n = ZSTD_decompressDCtx(z->d, dst, dst_len, src, len);
	return ZSTD_isError(n) || n != dst_len ? BS_ERR_CORRUPT : BS_OK;
}

int bs_zstd_is_frame(const void *src, size_t len)
{
	return len >= 4 && get_u32(src) == ZSTD_MAGICNUMBER;
}

/* RFC 8878, 3.1.1.1. */
uint64_t bs_zstd_window(const uint8_t *src, size_t len)
{
	static const uint8_t dictionary_len[] = { 0, 1, 2, 4 };
	unsigned flags, size_len;
	uint64_t v = 0;
	const uint8_t *p;

	if (len < 6)
		return 0;
	flags = src[4];
	if (!(flags & 0x20)) /* not a single segment */
		return (8 + (uint64_t)(src[5] & 7)) << (7 + (src[5] >> 3));
	size_len = flags >> 6 ? 1u << (flags >> 6) : 1;
	p = src + 5 + dictionary_len[flags & 3];
	if (len < (size_t)(p - src) + size_len)
		return 0;
	memcpy(&v, p, size_len);
	return size_len == 2 ? v + 256 : v;
}

/* ---- A frame in pieces --------------------------------------------------- */

/* Levels below the ultra ones have windows of 8 MiB at most. */
#define WINDOW_LOG_MAX 24

struct bs_unzstd {
	ZSTD_DCtx *d; /* owned */
	int has_ended;
};

enum bs_result bs_unzstd_new(struct bs_unzstd **ret)
{
	struct bs_unzstd *u = calloc(1, sizeof(*u));

	*ret = NULL;
	if (!u)
		return BS_ERR_NOMEM;
	u->d = ZSTD_createDCtx();
	if (!u->d || ZSTD_isError(ZSTD_DCtx_setParameter(
			     u->d, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
		bs_unzstd_free(u);
		return BS_ERR_NOMEM;
	}
	*ret = u;
	return BS_OK;
}

enum bs_result bs_unzstd_reset(struct bs_unzstd *u)
{
	u->has_ended = 0;
	return ZSTD_isError(ZSTD_DCtx_reset(u->d, ZSTD_reset_session_only))
		       ? BS_ERR_NOMEM
		       : BS_OK;
}

enum bs_result bs_unzstd_read(struct bs_unzstd *u, const void *in,
			      size_t *in_len, void *out, size_t *out_len)
{
	ZSTD_inBuffer src = { in, u->has_ended ? 0 : *in_len, 0 };
	ZSTD_outBuffer dst = { out, *out_len, 0 };
	size_t left = 1;

	if (!u->has_ended)
		left = ZSTD_decompressStream(u->d, &dst, &src);
	*in_len = src.pos;
	*out_len = dst.pos;
	if (ZSTD_isError(left))
		return BS_ERR_CORRUPT;
	u->has_ended |= left == 0;
	return BS_OK;
}

void bs_unzstd_free(struct bs_unzstd *u)
{
	if (!u)
		return;
	ZSTD_freeDCtx(u->d);
	free(u);
}
