/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hparams.h - what a model's JSON settings say, and its shape
 *
 * Settings are read field by field.  A field that nobody asked for, and that is
 * not known to be without effect, is refused by its name: a model with an
 * option that we do not know would run wrong.
 */

#ifndef BSX_HPARAMS_H
#define BSX_HPARAMS_H

#include "fault.h"

#define BSX_MAX_LAYERS 1024
#define BSX_MAX_STOPS 16

/* ---- Settings ------------------------------------------------------------ */

struct bsx_config;

/* Read a file of settings; *ret is the caller's to free. */
enum bsx_result bsx_config_read(struct bsx_config **ret,
				const struct bsx_folder *folder,
				const char *name, struct bsx_error *err);
void bsx_config_free(struct bsx_config *c);

/* Whether the field is there, and not null. */
bool bsx_config_has(struct bsx_config *c, const char *key);

/* Whether the field is there, be it null. */
bool bsx_config_names(struct bsx_config *c, const char *key);

/*
 * A field's value; *ret stays as it is where there is none.  BSX_ERR_MODEL: it
 * is of another kind or out of bounds.
 */
enum bsx_result bsx_config_uint(struct bsx_config *c, const char *key,
				uint32_t min, uint32_t max, uint32_t *ret,
				struct bsx_error *err);
enum bsx_result bsx_config_real(struct bsx_config *c, const char *key,
				double min, double max, double *ret,
				struct bsx_error *err);
enum bsx_result bsx_config_bool(struct bsx_config *c, const char *key,
				bool *ret, struct bsx_error *err);

/* A text; borrowed from 'c'. */
enum bsx_result bsx_config_text(struct bsx_config *c, const char *key,
				const char **ret, struct bsx_error *err);

/* A text, or the first of a list of texts. */
const char *bsx_config_first(struct bsx_config *c, const char *key);

/* The i-th text of a list; NULL: there is none. */
const char *bsx_config_word(struct bsx_config *c, const char *key, size_t i);

/* The i-th field's value, a text; NULL: there is none, or it is no text. */
const char *bsx_config_value(struct bsx_config *c, size_t i);

/* An object as settings of their own, which are 'c''s; NULL: none. */
struct bsx_config *bsx_config_inner(struct bsx_config *c, const char *key);

/* One number or a list of them; returns how many, at most 'max'. */
size_t bsx_config_ids(struct bsx_config *c, const char *key, uint32_t *ret,
		      size_t max);

/* Refuse the first field that was not asked for and may matter. */
enum bsx_result bsx_config_finish(struct bsx_config *c, struct bsx_error *err);

/* ---- Shape --------------------------------------------------------------- */

enum bsx_act { BSX_ACT_SILU, BSX_ACT_GELU_TANH };

enum bsx_rope_kind {
	BSX_ROPE_PLAIN,
	BSX_ROPE_LINEAR, /* positions divided by 'factor' */
	BSX_ROPE_LLAMA3, /* low frequencies divided, a slope between */
};

struct bsx_rope {
	enum bsx_rope_kind kind;
	double theta;
	double part; /* of a head that is turned, 0 to 1; 0: all */
	double factor;
	double low_freq_factor; /* of Llama 3, as are the next two */
	double high_freq_factor;
	double old_context;
};

struct bsx_hparams {
	uint32_t n_layers;
	uint32_t n_embd;
	uint32_t n_heads;
	uint32_t n_kv_heads;
	uint32_t head_dim;
	uint32_t n_ff;
	uint32_t n_vocab;
	uint32_t n_context;
	uint32_t window; /* tokens that a sliding layer sees; 0: all */
	uint32_t n_whole; /* the family's count of layers without a window */
	double norm_eps;
	double embed_scale; /* of what is embedded; 0: as it is */
	double attn_divisor; /* scores are divided by its root; 0: head_dim */
	double attn_cap; /* scores are bent to stay below it; 0: not */
	double final_cap; /* likewise, logits */
	enum bsx_act act;
	struct bsx_rope rope;
	struct bsx_rope local_rope; /* of sliding layers, if theta is not 0 */
	bool slides[BSX_MAX_LAYERS]; /* which layers have a window */
	bool is_tied; /* the head is the embedding */
	bool has_qkv_bias;
	bool has_o_bias;
	bool has_ff_bias;
	bool norm_adds_one; /* a norm's weights are what is added to 1 */
	bool has_layer_norm; /* which has a mean and a bias, not RMSNorm */
	bool is_int4; /* the weights are what 4-bit values stand for */
	uint32_t int4_group; /* values that share a scale; 0: none are packed */
	bool is_transposed; /* matrices of layers stand input by output */
};

/* rope_theta, rope_scaling and rope_parameters. */
enum bsx_result bsx_config_rope(struct bsx_config *c, struct bsx_rope *ret,
				struct bsx_error *err);

/* The fields that most architectures share, under their usual names. */
enum bsx_result bsx_config_shape(struct bsx_config *c, struct bsx_hparams *ret,
				 struct bsx_error *err);

/* One object of rope settings, within another. */
enum bsx_result bsx_config_rope_inner(struct bsx_config *in,
				      struct bsx_rope *ret,
				      struct bsx_error *err);

/*
 * Which layers slide: as layer_types says, or else 'slides' for each layer's
 * number.
 */
enum bsx_result bsx_config_layers(struct bsx_config *c, struct bsx_hparams *hp,
				  bool (*slides)(const struct bsx_hparams *hp,
						 uint32_t layer),
				  struct bsx_error *err);

/* Refuse an option that is not 'want', which stands if it is not there. */
enum bsx_result bsx_config_must(struct bsx_config *c, const char *key,
				bool want, struct bsx_error *err);

/* hidden_act. */
enum bsx_result bsx_config_act(struct bsx_config *c, const char *key,
			       enum bsx_act *ret, struct bsx_error *err);

#endif /* BSX_HPARAMS_H */
