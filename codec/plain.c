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
