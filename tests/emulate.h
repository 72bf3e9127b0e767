/* SPDX-License-Identifier: Apache-2.0 */
/*
 * emulate.h - a chunk through the decoder for GPUs, lane by lane on the host
 */

#ifndef BS_EMULATE_H
#define BS_EMULATE_H

#include "cuda/device_model.h"
#include "cuda/warp_chunk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Filled, so that what is used before it is written is not zero by chance. */
static inline void *emulate_alloc(size_t len)
{
	void *p = malloc(len);

	assert(p);
	memset(p, 0xa5, len);
	return p;
}

/* A model's image, exactly as long as it says; freed by the caller. */
static inline uint8_t *emulate_image(const struct bs_model *model)
{
	uint8_t *image = (uint8_t *)emulate_alloc(bs_device_model_len(model));

	bs_device_model_make(model, image);
	return image;
}

/*
 * Decode and check a chunk as a block with it alone would, its lanes in the
 * order of bs_lane_flip; 'is_near' says whether its tables fit the block's
 * memory.  'image' is its model's, or NULL.
 */
static inline enum bs_result emulate(const struct bs_chunk *chunk,
				     const struct bs_blob *blob,
				     const uint8_t *image, bool is_near,
				     const uint8_t *stored, uint8_t *dst)
{
	const struct bs_device_head *head =
		(const struct bs_device_head *)image;
	struct bs_device_chunk c = {
		.stored = stored,
		.dst = dst,
		.image = image,
		.blob_off = chunk->blob_off,
		.width = blob->width,
		.raw_sum = chunk->raw_sum,
		.raw_len = chunk->raw_len,
		.stored_len = chunk->stored_len,
		.coding = chunk->coding,
	};
	struct warp_scratch *scratch = emulate_alloc(sizeof(*scratch));
	struct warp_local *local = NULL;
	enum bs_result res;

	if (image && head->has_local)
		local = emulate_alloc(sizeof(*local));
	res = warp_decode(&c, head,
			  is_near && image ? image + sizeof(*head) : NULL,
			  scratch, local);
	if (!res)
		res = warp_check(&c);
	free(scratch);
	free(local);
	return res;
}

#endif /* BS_EMULATE_H */
