/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blosc.c - a blosc2 chunk of shuffled zstd blocks
 *
 * As much of that format as is met here: a bare chunk with the header of 32
 * bytes, zstd, the byte shuffle or no filter.
 */

#include "blosc.h"

#include "../bits.h"

#include <string.h>

#define HEADER_LEN 32
#define BLOCK_MAX (4u << 20)

enum {
	FLAGS = 2,
	TYPE_SIZE = 3,
	RAW_LEN = 4,
	BLOCK_LEN = 8,
	STORED_LEN = 12,
	FILTERS = 16, /* 6 bytes */
	SPECIAL = 31, /* bits 4 to 6: of which value the chunk is full */
};

#define EXTENDED 5u /* flags: the header has 32 bytes */
#define PLAIN 2u
#define NOT_SPLIT 16u
#define CODEC_SHIFT 5
#define CODEC_ZSTD 4u
#define FILTER_SHUFFLE 1
#define SPECIAL_ZERO 1

enum bs_result bs_up_blosc_open(struct bs_up_blosc *b,
				const struct bs_source *src,
				struct bs_up_span span, uint64_t raw_len,
				unsigned item_len)
{
	uint8_t h[HEADER_LEN];
	struct bs_up_reader rd;
	unsigned flags, i, special;

	bs_up_reader_init(&rd, src, span);
	bs_up_read(&rd, h, sizeof(h));
	flags = h[FLAGS];
	b->span = span;
	b->raw_len = get_u32(h + RAW_LEN);
	b->block_len = get_u32(h + BLOCK_LEN);
	b->item_len = item_len;
	special = h[SPECIAL] >> 4 & 7;
	b->is_zero = special == SPECIAL_ZERO;
	b->is_plain = (flags & PLAIN) && !special;
	b->is_split = !(flags & NOT_SPLIT);
	b->is_shuffled = 0;
	for (i = 0; i < 6; i++) {
		bs_up_check(&rd, h[FILTERS + i] <= FILTER_SHUFFLE);
		b->is_shuffled |= h[FILTERS + i] == FILTER_SHUFFLE;
	}
	bs_up_check(&rd, (flags & EXTENDED) == EXTENDED && special <= 1 &&
				 h[TYPE_SIZE] == item_len &&
				 b->raw_len == raw_len &&
				 raw_len <= INT32_MAX &&
				 get_u32(h + STORED_LEN) == span.len);
	if (b->is_plain)
		bs_up_check(&rd, span.len == HEADER_LEN + raw_len);
	if (!b->is_plain && !b->is_zero)
		bs_up_check(&rd, flags >> CODEC_SHIFT == CODEC_ZSTD);
	/* The block's length is of no use to the other two. */
	if (b->is_plain || b->is_zero || b->block_len > b->raw_len)
		b->block_len = b->raw_len < BLOCK_MAX ? b->raw_len
						      : BLOCK_MAX / 4;
	bs_up_check(&rd, b->block_len >= 1 && b->block_len <= BLOCK_MAX &&
				 b->block_len % item_len == 0);
	return rd.res;
}

/* One stream of a block: 'len' bytes into 'dst'; 'tmp' has room for as much. */
static void read_stream(struct bs_up_reader *rd, struct bs_zstd *z,
			uint8_t *dst, uint32_t len, uint8_t *tmp)
{
	int32_t c = (int32_t)bs_up_read_u32(rd);

	if (c < 0 && bs_up_check(rd, bs_up_read_u8(rd) & 1 && c >= -255)) {
		memset(dst, -c, len);
	} else if (c == 0) {
		memset(dst, 0, len);
	} else if ((uint32_t)c == len) {
		bs_up_read(rd, dst, len);
	} else if (bs_up_check(rd, c > 0 && (uint32_t)c < len)) {
		bs_up_read(rd, tmp, (size_t)c);
		bs_up_check(rd, rd->res || bs_zstd_decode(z, dst, len, tmp,
							  (size_t)c) == BS_OK);
	}
}

/* Bytes k of all items stand together; the rest of a block that is no whole item
 * stays where it is. */
static void unshuffle(const uint8_t *src, uint8_t *dst, size_t len,
		      unsigned item_len)
{
	size_t n = len / item_len, i;
	unsigned k;

	for (k = 0; k < item_len; k++)
		for (i = 0; i < n; i++)
			dst[i * item_len + k] = src[k * n + i];
	memcpy(dst + n * item_len, src + n * item_len, len - n * item_len);
}

enum bs_result bs_up_blosc_block(const struct bs_up_blosc *b,
				 const struct bs_source *src, struct bs_zstd *z,
				 uint32_t i, uint8_t *dst, uint8_t *tmp)
{
	uint32_t begin = i * b->block_len, len = b->raw_len - begin, part, at;
	int is_shuffled = b->is_shuffled && b->item_len > 1;
	uint8_t *to = is_shuffled ? tmp + b->block_len : dst;
	struct bs_up_reader rd;
	uint32_t start;

	if (len > b->block_len)
		len = b->block_len;
	if (b->is_zero) {
		memset(dst, 0, len);
		return BS_OK;
	}
	bs_up_reader_init(&rd, src, b->span);
	if (b->is_plain) {
		rd.pos += HEADER_LEN + begin;
		bs_up_read(&rd, dst, len);
		return rd.res;
	}
	rd.pos += HEADER_LEN + 4 * (uint64_t)i;
	bs_up_check(&rd, rd.pos <= rd.end);
	start = bs_up_read_u32(&rd);
	if (!bs_up_check(&rd, start <= b->span.len) || rd.res)
		return rd.res;
	rd.pos = b->span.off + start;
	part = b->is_split && len == b->block_len ? len / b->item_len : len;
	for (at = 0; at < len && !rd.res; at += part)
		read_stream(&rd, z, to + at, part, tmp);
	if (is_shuffled)
		unshuffle(to, dst, len, b->item_len);
	return rd.res;
}
