/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - an open model, for the engine's own files
 */

#ifndef BSX_ENGINE_H
#define BSX_ENGINE_H

#include "arch.h"
#include "chat.h"
#include "tokenizer.h"
#include "weights.h"

struct bsx_model {
	const struct bsx_arch *arch;
	struct bsx_hparams hp;
	struct bsx_weights *weights; /* owned, as are the next two */
	struct bsx_tokenizer *tokenizer;
	struct bsx_chat *chat;
	uint32_t stops[BSX_MAX_STOPS];
	size_t n_stops;
	struct bsx_facts facts;
};

#endif /* BSX_ENGINE_H */
