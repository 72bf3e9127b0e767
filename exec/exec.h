/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec.h - a language model that speaks, from a directory of weights
 *
 * A model is a directory as Hugging Face lays it out: config.json,
 * tokenizer.json, safetensors files.  It is read as any program reads it, so a
 * mounted one is one like another; a caller may also open its files himself.
 * Opening a model reads no weights; a session does, and holds what was said so
 * far.
 *
 * Logits are the same bits at any number of threads and with any CPU's kernels:
 * the order of every sum is fixed (nn.h).
 */

#ifndef BSX_EXEC_H
#define BSX_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bsx_result {
	BSX_OK = 0,
	BSX_ERR_DATA, /* damaged, or not what it says it is */
	BSX_ERR_MODEL, /* no model, or one that we cannot run */
	BSX_ERR_SYSTEM, /* memory, I/O, threads */
	BSX_ERR_REFUSED, /* does not fit in what it may use */
	BSX_ERR_STOPPED, /* the caller's stop() said so */
};

/* A whole sentence, to stand behind a program's name; what of it is from files
 * may have control characters. */
struct bsx_error {
	char text[512];
};

/* ---- Models -------------------------------------------------------------- */

struct bsx_model;

/* Sampling as the model's makers advise it (generation_config.json). */
struct bsx_sampling {
	float temperature; /* 0: always the likeliest token */
	uint32_t top_k; /* 0: all */
	float top_p; /* 1: all */
	uint64_t seed;
};

/* What a token costs. */
#define BSX_N_WEIGHT_TYPES 3

struct bsx_work {
	/* Of the matrices that it is multiplied by: BF16, F16, F32. */
	uint64_t bytes[BSX_N_WEIGHT_TYPES];
	uint64_t bytes_held; /* read of each token before it */
	uint32_t n_rounds; /* things that threads do together */
};

struct bsx_facts {
	const char *arch; /* "llama"; borrowed, as is the next */
	const char *template_name; /* "ChatML"; NULL: none that we know */
	bool has_template; /* though perhaps none that we know */
	uint32_t n_layers;
	uint32_t n_vocab;
	uint32_t n_context; /* tokens that it was made for */
	uint64_t n_weights;
	uint64_t weight_bytes; /* as they are multiplied: see is_int4 */
	uint64_t file_bytes;
	bool is_int4; /* 4-bit values that stand for BF16, not the original */
	struct bsx_sampling sampling;
	struct bsx_work work;
};

/* A directory whose files the caller opens. */
struct bsx_folder {
	const char *path; /* for sentences */
	/* A descriptor for reading that file, the model's to close; -errno:
	 * there is none. */
	int (*open)(void *ctx, const char *name);
	void *ctx;
};

/* Such an open(), where 'ctx' points to the directory's descriptor, an int. */
int bsx_open_at(void *ctx, const char *name);

/*
 * Open the model in a folder, which is needed only as long as this runs; its
 * weights are those of 'file' alone unless that is NULL.  Of files of weights no
 * more than their headers and sizes have to be true, unless a session is to
 * follow.  The caller frees *ret.
 */
enum bsx_result bsx_model_open(struct bsx_model **ret,
			       const struct bsx_folder *folder,
			       const char *file, struct bsx_error *err);
void bsx_model_free(struct bsx_model *m);
const struct bsx_facts *bsx_model_facts(const struct bsx_model *m);

/* The i-th of its files of weights, as it is called in its directory; NULL past
 * the last one. */
const char *bsx_model_file(const struct bsx_model *m, size_t i);

/* Whether the model ends its answer with that token. */
bool bsx_is_stop(const struct bsx_model *m, uint32_t id);

/* ---- Text and tokens ----------------------------------------------------- */

/*
 * The tokens of a text in UTF-8; 'with_start': with what the tokenizer puts
 * around a text, such as <s>.  *ret is the caller's to free, NULL if *ret_n is
 * 0.
 */
enum bsx_result bsx_encode(const struct bsx_model *m, const char *text,
			   size_t len, bool with_start, uint32_t **ret,
			   size_t *ret_n, struct bsx_error *err);

struct bsx_message {
	enum { BSX_SYSTEM, BSX_USER, BSX_ASSISTANT } role;
	const char *text; /* borrowed */
};

/* What the model's chat template makes of a conversation, up to where the
 * model's answer begins; *ret is the caller's to free. */
enum bsx_result bsx_render_chat(const struct bsx_model *m,
				const struct bsx_message *messages, size_t n,
				char **ret, struct bsx_error *err);

/*
 * Tokens back to text, one at a time.  What bsx_decode() returns is valid
 * UTF-8, and the decoder's until its next call; bytes that are no whole
 * character yet wait, and bsx_decode_end() gives what is left.
 */
struct bsx_decoder;

struct bsx_decoder *bsx_decoder_new(const struct bsx_model *m);
void bsx_decoder_free(struct bsx_decoder *d);
const char *bsx_decode(struct bsx_decoder *d, uint32_t id);
const char *bsx_decode_end(struct bsx_decoder *d);

/* ---- Sessions ------------------------------------------------------------ */

struct bsx_session;

struct bsx_session_options {
	unsigned n_threads;
	uint32_t n_context; /* tokens there is room for */
	uint64_t budget; /* bytes that it may take; UINT64_MAX: no bound */
	bool streams; /* keep no matrix in memory */
	bool once; /* leave nothing of weights in the page cache of the kernel:
		    * of those that are read anew it never is */
	bool (*stop)(void); /* asked between layers; NULL: never */
};

struct bsx_plan {
	uint32_t n_kept; /* layers in memory */
	uint64_t pass_bytes; /* read anew for each pass, of one token */
	uint64_t bytes; /* of memory, at most */
};

/* What a session would do.  BSX_ERR_REFUSED: the budget does not do, even for
 * one layer at a time. */
enum bsx_result bsx_session_plan(const struct bsx_model *m,
				 const struct bsx_session_options *options,
				 struct bsx_plan *ret, struct bsx_error *err);

/* Read the weights.  The session borrows the model; the caller frees *ret. */
enum bsx_result bsx_session_new(struct bsx_session **ret,
				const struct bsx_model *m,
				const struct bsx_session_options *options,
				struct bsx_error *err);
void bsx_session_free(struct bsx_session *s);

/*
 * Go on with n > 0 tokens, each below n_vocab, within n_context in all.
 * logits[n_last * n_vocab] gets those behind each of the last n_last tokens.
 * After an error the session is as it was before.
 */
enum bsx_result bsx_session_feed(struct bsx_session *s, const uint32_t *ids,
				 size_t n, float *logits, size_t n_last,
				 struct bsx_error *err);

/* How many tokens it holds, and forget all but the first n. */
uint32_t bsx_session_length(const struct bsx_session *s);
void bsx_session_rewind(struct bsx_session *s, uint32_t n);

/* ---- What a machine can do ----------------------------------------------- */

/* What threads do together, in bytes and in seconds. */
struct bsx_speed {
	double read; /* bytes of memory a second */
	double product[BSX_N_WEIGHT_TYPES]; /* of weights, for one token */
	double round; /* seconds to begin and end together */
};

/* Measure it with 'len' bytes of memory, which are more than caches hold, for
 * about so many seconds. */
enum bsx_result bsx_speed_measure(unsigned n_threads, size_t len,
				  double seconds, struct bsx_speed *ret,
				  struct bsx_error *err);

/* Seconds that a token takes behind n_before others. */
double bsx_work_seconds(const struct bsx_work *work,
			const struct bsx_speed *speed, uint32_t n_before);

/* The name of the kernels that are used here. */
const char *bsx_kernels_name(void);

#define BSX_N_DECODED 4 /* BF16, F16, F32, F8_E4M3 */
#define BSX_MAX_DISKS 16

/* By one thread, and by as many as there are CPUs. */
enum { BSX_ALONE, BSX_TOGETHER, BSX_N_CREWS };

struct bsx_disk {
	char id[128]; /* of the file system; what it says is its owner's */
	double rate; /* bytes a second */
	bool is_direct; /* the kernel's cache was left out */
};

struct bsx_profile {
	char machine[256]; /* what it was measured on */
	uint32_t n_cpus;
	struct bsx_speed speed[BSX_N_CREWS];
	double decode[BSX_N_CREWS][BSX_N_DECODED]; /* raw bytes a second */
	struct bsx_disk disks[BSX_MAX_DISKS];
	uint32_t n_disks;
};

/* Read a profile that was kept as JSON.  BSX_ERR_MODEL: there is none;
 * BSX_ERR_DATA: it is not to be made sense of. */
enum bsx_result bsx_profile_read(struct bsx_profile *ret, const char *path,
				 struct bsx_error *err);

/* ---- Choosing a token ---------------------------------------------------- */

struct bsx_sampler;

/* NULL: no memory. */
struct bsx_sampler *bsx_sampler_new(const struct bsx_sampling *how,
				    uint32_t n_vocab);
void bsx_sampler_free(struct bsx_sampler *s);
uint32_t bsx_sample(struct bsx_sampler *s, const float *logits);

#endif /* BSX_EXEC_H */
