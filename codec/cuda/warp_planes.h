/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warp_planes.h - steps of elements through all stages; a template
 *
 * Included by warp_chunk.h twice.  ELEMENT is the type of elements, PLANES(name)
 * a function's name, GROUPS how many groups of 64 elements are a step:
 * parameters are looked up once for it, and loads overlap, but each group takes
 * registers.  With IS_FAST elements have up to 32 bits, steps are whole, pairs of
 * elements are aligned to their size, and tables are in shared memory: what else
 * there is, the other one does, a group at a time.
 *
 * A step is decoded, gets its raw bits, and is stored, with the first coded
 * plane over whatever was there, with later ones by OR.
 */

#define STEP struct PLANES(step)
#define STEP_LEN (GROUPS * LANES)

/* A step's values and elements. */
STEP
{
	uint32_t v[GROUPS][2][LANE_COPIES];
	ELEMENT e[GROUPS][2][LANE_COPIES];
	uint32_t escaped[LANE_COPIES]; /* bit k: value k of the lane */
};

/* ---- Elements in memory ------------------------------------------------- */

DEVICE ELEMENT PLANES(load)(const uint8_t *p, unsigned unit)
{
	ELEMENT e = 0;
	unsigned i;

	if (IS_FAST)
		e = unit == 1 ? *p : unit == 2 ? read16(p) : read32(p);
	for (i = 0; !IS_FAST && i < unit; i++)
		e |= (ELEMENT)p[i] << 8 * i;
	return e;
}

DEVICE void PLANES(store)(uint8_t *p, unsigned unit, ELEMENT e)
{
	unsigned i;

	if (unit == 8 && is_aligned(p, 8)) {
		write64(p, e);
		return;
	}
	for (i = 0; i < unit; i++)
		p[i] = (uint8_t)(e >> 8 * i);
}

/* Two elements that follow each other. */
DEVICE void PLANES(store_pair)(uint8_t *p, unsigned unit, ELEMENT a, ELEMENT b)
{
	if (unit == 1)
		write16(p, (uint32_t)(a | b << 8));
	else if (unit == 2)
		write32(p, (uint32_t)(a | b << 16));
	else
		write64(p, a | (uint64_t)b << 32);
}

/* Elements from 'at' on, of n. */
DEVICE void PLANES(load_step)(STEP *s, const uint8_t *dst, unsigned unit,
			      uint32_t at, uint32_t n)
{
	FOR_LANES (t) {
		UNROLL
		for (unsigned k = 0; k < 2 * GROUPS; k++) {
			uint32_t i = at + LANES * (k / 2) + 2 * t + k % 2;

			if (IS_FAST || i < n)
				s->e[k / 2][k % 2][OWN(t)] = PLANES(
					load)(dst + (size_t)i * unit, unit);
		}
	}
}

DEVICE void PLANES(store_step)(const STEP *s, uint8_t *dst, unsigned unit,
			       uint32_t at, uint32_t n)
{
	FOR_LANES (t) {
		UNROLL
		for (unsigned g = 0; g < GROUPS; g++) {
			uint32_t i = at + LANES * g + 2 * t;
			uint8_t *p = dst + (size_t)i * unit;

			if (IS_FAST)
				PLANES(store_pair)
			(p, unit, s->e[g][0][OWN(t)], s->e[g][1][OWN(t)]);
			if (!IS_FAST && i < n)
				PLANES(store)(p, unit, s->e[g][0][OWN(t)]);
			if (!IS_FAST && i + 1 < n)
				PLANES(store)
			(p + unit, unit, s->e[g][1][OWN(t)]);
		}
	}
}

/* The step's values are an entry's: their bits go into the elements. */
DEVICE void PLANES(merge_step)(STEP *s, const struct bs_device_head *head,
			       const struct bs_device_entry *entry)
{
	unsigned i;

	for (i = 0; i < entry->n_segments; i++) {
		const struct bs_device_segment *seg =
			&head->segments[entry->first_segment + i];
		uint32_t mask = (1u << seg->bits) - 1;
		unsigned shift = seg->shift, lo = seg->lo;

		FOR_LANES (t) {
			UNROLL
			for (unsigned k = 0; k < 2 * GROUPS; k++)
				s->e[k / 2][k % 2][OWN(t)] |=
					(ELEMENT)(s->v[k / 2][k % 2][OWN(t)] >>
							  shift &
						  mask)
					<< lo;
		}
	}
}

/* ---- Raw bits ----------------------------------------------------------- */

/* Values of a piece of 8, 4, 2 or 1 bits that begins at 'p': the ones of a
 * lane's two elements, << 'done', into the low bytes of v[g][0]. */
DEVICE void PLANES(take_piece)(STEP *s, const uint8_t *p, unsigned piece,
			       unsigned done)
{
	uint32_t stride = 8 * piece, mask = ((1u << piece) - 1) * 0x0101;
	bool is_even = is_aligned(p, 2);

	FOR_LANES (t) {
		uint32_t off = 2 * t % stride, shift = 2 * t / stride * piece;

		UNROLL
		for (unsigned g = 0; g < GROUPS; g++) {
			uint32_t two;

			if (piece == 1) {
				two = fetch8(p + 8 * g + t / 4) >> 2 * t % 8;
				two = (two & 1) | (two & 2) << 7;
			} else if (is_even) {
				two = fetch16(p + stride * g + off);
				two = two >> shift & mask;
			} else {
				two = fetch8(p + stride * g + off);
				two |= fetch8(p + stride * g + off + 1) << 8;
				two = two >> shift & mask;
			}
			s->v[g][0][OWN(t)] |= two << done;
		}
	}
}

/* Of a step before lay->n_early. */
DEVICE void PLANES(merge_raw)(STEP *s, const struct bs_device_head *head,
			      const struct warp_layout *lay,
			      const struct warp_scratch *ws, uint32_t at)
{
	uint32_t r;

	for (r = 0; r < lay->n_raw; r++) {
		const struct bs_device_entry *entry =
			&head->entries[ws->raw_entry[r]];
		const uint8_t *p = lay->stored + lay->raw_at + ws->raw_at[r];
		unsigned bits = entry->bits, piece, done = 0;

		FOR_LANES (t) {
			UNROLL
			for (unsigned g = 0; g < GROUPS; g++)
				s->v[g][0][OWN(t)] = 0;
		}
		for (piece = 8; piece; piece /= 2) {
			if (!(bits & piece))
				continue;
			PLANES(take_piece)(s, p + at / 8 * piece, piece, done);
			p += entry_len(lay, piece);
			done += piece;
		}
		FOR_LANES (t) {
			UNROLL
			for (unsigned g = 0; g < GROUPS; g++) {
				s->v[g][1][OWN(t)] = s->v[g][0][OWN(t)] >> 8;
				s->v[g][0][OWN(t)] &= 0xff;
			}
		}
		PLANES(merge_step)(s, head, entry);
	}
}

/* ---- Coded planes ------------------------------------------------------- */

/* Escaped values are the next ones from the side.  False: too few. */
DEVICE bool PLANES(take_escapes)(struct plane_job *job, STEP *s)
{
	unsigned len = job->escape_len;
	bool is_any[LANE_COPIES];
	uint32_t even, odd, n;

	FOR_LANES (t)
		is_any[OWN(t)] = s->escaped[OWN(t)] != 0;
	if (!warp_ballot(is_any))
		return true;
	UNROLL
	for (unsigned g = 0; g < GROUPS; g++) {
		FOR_LANES (t)
			is_any[OWN(t)] = s->escaped[OWN(t)] >> 2 * g & 1;
		even = warp_ballot(is_any);
		FOR_LANES (t)
			is_any[OWN(t)] = s->escaped[OWN(t)] >> 2 * g & 2;
		odd = warp_ballot(is_any);
		n = count_ones(even) + count_ones(odd);
		if (n > job->n_escapes)
			return false;
		FOR_LANES (t) {
			uint32_t below = (1u << t) - 1, at;
			const uint8_t *p;

			at = count_ones(even & below) + count_ones(odd & below);
			p = job->escapes + (size_t)at * len;
			if (even >> t & 1) {
				s->v[g][0][OWN(t)] = escape_at(p, len);
				p += len;
			}
			if (odd >> t & 1)
				s->v[g][1][OWN(t)] = escape_at(p, len);
		}
		job->escapes += (size_t)n * len;
		job->n_escapes -= n;
	}
	return true;
}

/* The sums of classes of a step, as values; of n elements that are there. */
DEVICE void PLANES(sum_classes)(STEP *s, const struct class_walk *w,
				bool is_inside, uint32_t n)
{
	FOR_LANES (t) {
		UNROLL
		for (unsigned k = 0; k < 2 * GROUPS; k++) {
			uint32_t i = LANES * (k / 2) + 2 * t + k % 2;

			if (IS_FAST || i < n)
				s->v[k / 2][k % 2][OWN(t)] =
					walk_sum(w, i, is_inside);
		}
	}
}

/* The values of group g, of which 'left' > 0 elements are there; so far they
 * are sums of classes. */
DEVICE void PLANES(decode_group)(const struct plane_job *job,
				 struct rans_lanes *lanes, STEP *s, unsigned g,
				 uint32_t left)
{
	uint32_t table[2][LANE_COPIES], sym[2][LANE_COPIES];
	uint32_t table_mask = (1u << job->table_log2) - 1;

	FOR_LANES (t) {
		table[0][OWN(t)] = s->v[g][0][OWN(t)] & table_mask;
		table[1][OWN(t)] = s->v[g][1][OWN(t)] & table_mask;
	}
	rans_group(lanes, &job->tables, IS_FAST, table, left, sym);
	FOR_LANES (t) {
		UNROLL
		for (unsigned h = 0; h < 2; h++) {
			uint32_t q = s->v[g][h][OWN(t)] >> job->table_log2;

			s->v[g][h][OWN(t)] =
				sym[h][OWN(t)] + job->base + (q << job->shift);
			if (sym[h][OWN(t)] == job->escape && 2 * t + h < left)
				s->escaped[OWN(t)] |= 1u << (2 * g + h);
		}
	}
}

/* The coded part of a step with n elements.  False: corrupt. */
DEVICE bool PLANES(decode_step)(struct plane_job *job, struct rans_lanes *lanes,
				STEP *s, uint32_t n)
{
	if (job->has_classes) {
		if (walk_is_inside(&job->walk, STEP_LEN))
			PLANES(sum_classes)(s, &job->walk, true, n);
		else
			PLANES(sum_classes)(s, &job->walk, false, n);
		walk_on(&job->walk, STEP_LEN);
	}
	ring_fill(&lanes->words, STEP_LEN);
	UNROLL
	for (unsigned g = 0; g < GROUPS; g++)
		PLANES(decode_group)
	(job, lanes, s, g, IS_FAST ? LANES : n - LANES * g);
	if (lanes->words.taken > lanes->words.n)
		return false;
	return !job->escape_len || PLANES(take_escapes)(job, s);
}

/* Elements [at, n) of a chunk; 'at' is a multiple of STEP_MAX. */
DEVICE bool PLANES(decode)(struct plane_job *job, struct rans_lanes *lanes,
			   const struct warp_layout *lay,
			   const struct warp_scratch *ws, uint8_t *dst,
			   uint32_t at, uint32_t n)
{
	const struct bs_device_head *head = job->head;
	ELEMENT constant = (ELEMENT)head->constant;
	unsigned unit = head->unit;
	STEP s;

	for (; at < n; at += STEP_LEN) {
		FOR_LANES (t) {
			s.escaped[OWN(t)] = 0;
			UNROLL
			for (unsigned k = 0; k < 2 * GROUPS; k++) {
				s.e[k / 2][k % 2][OWN(t)] = constant;
				s.v[k / 2][k % 2][OWN(t)] = 0;
			}
		}
		if (job->entry) {
			if (!PLANES(decode_step)(job, lanes, &s, n - at))
				return false;
			if (!job->is_first)
				PLANES(load_step)(&s, dst, unit, at, n);
			PLANES(merge_step)(&s, head, job->entry);
		}
		if (job->is_last && at < lay->n_early)
			PLANES(merge_raw)(&s, head, lay, ws, at);
		PLANES(store_step)(&s, dst, unit, at, n);
	}
	return true;
}

#undef STEP
#undef STEP_LEN
#undef ELEMENT
#undef PLANES
#undef GROUPS
#undef IS_FAST
