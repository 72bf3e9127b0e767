/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksum.c - XXH3 and SHA-256
 *
 * The only file that includes xxHash and OpenSSL.  XXH3 is inlined:
 * Debian's shared library is several times slower, and a chunk is summed on
 * every read.
 */

#include "checksum.h"

#include "bigsmall.h"

#define XXH_INLINE_ALL
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

uint64_t bs_xxh3_64(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}

struct bs_hash {
	enum bs_digest alg;
	EVP_MD_CTX *sha; /* owned; NULL unless SHA-256 */
	XXH3_state_t *xxh; /* owned; NULL unless XXH3-128 */
};

static int start(struct bs_hash *h)
{
	if (h->sha)
		return EVP_DigestInit_ex(h->sha, EVP_sha256(), NULL) == 1;
	return XXH3_128bits_reset(h->xxh) == XXH_OK;
}

enum bs_result bs_hash_new(struct bs_hash **ret, enum bs_digest alg)
{
	struct bs_hash *h;

	*ret = NULL;
	if (alg != BS_DIGEST_SHA256 && alg != BS_DIGEST_XXH3_128)
		return BS_ERR_PARAM;
	h = calloc(1, sizeof(*h));
	if (!h)
		return BS_ERR_NOMEM;
	h->alg = alg;
	if (alg == BS_DIGEST_SHA256)
		h->sha = EVP_MD_CTX_new();
	else
		h->xxh = XXH3_createState();
	if ((!h->sha && !h->xxh) || !start(h)) {
		bs_hash_free(h);
		return BS_ERR_NOMEM;
	}
	*ret = h;
	return BS_OK;
}

void bs_hash_update(struct bs_hash *h, const void *data, size_t len)
{
	if (h->sha)
		EVP_DigestUpdate(h->sha, data, len);
	else
		XXH3_128bits_update(h->xxh, data, len);
}

void bs_hash_final(struct bs_hash *h, uint8_t *ret)
{
	XXH128_canonical_t canonical;

	if (h->sha) {
		EVP_DigestFinal_ex(h->sha, ret, NULL);
	} else {
		XXH128_canonicalFromHash(&canonical,
					 XXH3_128bits_digest(h->xxh));
		memcpy(ret, canonical.digest, sizeof(canonical.digest));
	}
	start(h);
}

void bs_hash_free(struct bs_hash *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->sha);
	if (h->xxh)
		XXH3_freeState(h->xxh);
	free(h);
}
