/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checksum.c - XXH3 and SHA-256
 *
 * The only file that includes xxHash and OpenSSL.  XXH3 is inlined, a chunk
 * being summed on every read: Debian's shared library is built for the oldest
 * CPUs.  xxHash has loops for newer ones, which it compiles where its own
 * dispatcher for x86 asks for them; here the table of kernels does.  For the
 * oldest it has SSE2 or NEON, which every CPU of the two kinds has.
 */

#include "checksum.h"

#include "bigsmall.h"
#include "kernels.h"

#ifdef __x86_64__
#include <immintrin.h>
#define XXH_TARGET_AVX2 __attribute__((target("avx2")))
#define XXH_TARGET_AVX512 __attribute__((target("avx512f")))
#define XXH_ACC_ALIGN 64
#define XXH_DISPATCH_AVX2 1
#define XXH_DISPATCH_AVX512 1
#endif
#define XXH_INLINE_ALL
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* What XXH3 takes as short, and has no vectors for. */
#define SHORT_MAX XXH3_MIDSIZE_MAX

uint64_t bs_xxh3_64(const void *data, size_t len)
{
	return bs_kernels()->xxh3_64(data, len);
}

uint64_t bs_xxh3_64_scalar(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}

void bs_xxh3_update_scalar(void *state, const void *data, size_t len)
{
	XXH3_128bits_update(state, data, len);
}

#ifdef __x86_64__

#if XXH_VERSION_NUMBER >= 802
#define ACCUMULATE(isa) XXH3_accumulate_##isa
#else
#define ACCUMULATE(isa) XXH3_accumulate_512_##isa
#endif

XXH_TARGET_AVX2 uint64_t bs_xxh3_64_avx2(const void *data, size_t len)
{
	if (len <= SHORT_MAX)
		return XXH3_64bits(data, len);
	return XXH3_hashLong_64b_internal(data, len, XXH3_kSecret,
					  sizeof(XXH3_kSecret),
					  ACCUMULATE(avx2),
					  XXH3_scrambleAcc_avx2);
}

XXH_TARGET_AVX2 void bs_xxh3_update_avx2(void *state, const void *data,
					 size_t len)
{
	XXH3_update(state, data, len, ACCUMULATE(avx2), XXH3_scrambleAcc_avx2);
}

XXH_TARGET_AVX512 uint64_t bs_xxh3_64_avx512(const void *data, size_t len)
{
	if (len <= SHORT_MAX)
		return XXH3_64bits(data, len);
	return XXH3_hashLong_64b_internal(data, len, XXH3_kSecret,
					  sizeof(XXH3_kSecret),
					  ACCUMULATE(avx512),
					  XXH3_scrambleAcc_avx512);
}

XXH_TARGET_AVX512 void bs_xxh3_update_avx512(void *state, const void *data,
					     size_t len)
{
	XXH3_update(state, data, len, ACCUMULATE(avx512),
		    XXH3_scrambleAcc_avx512);
}

#endif

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
		bs_kernels()->xxh3_update(h->xxh, data, len);
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
