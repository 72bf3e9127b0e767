/* SPDX-License-Identifier: Apache-2.0 */
/*
 * receipt.c - a record of what ran
 *
 * The same files, prompt and options give the same logits on any machine, so
 * their digest is the record's name: running again replaces it.  Files are read
 * once more for their SHA-256, as they were read to run: through a mount that is
 * the original's.
 */

#include "receipt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd.h"
#include "files.h"
#include "json.h"
#include "prober.h"

#define STEP ((size_t)1 << 20)

/* Those besides the weights that change what is computed. */
static const char *const settings[] = { "config.json", "generation_config.json",
					"tokenizer.json",
					"tokenizer_config.json" };

/* 0 or -errno; 'buf' has STEP bytes. */
static int hash_file(const char *path, uint8_t *buf, uint64_t *ret_len,
		     char *ret_hex)
{
	uint8_t digest[BS_DIGEST_MAX];
	struct bs_hash *hash;
	int fd, err = 0;
	struct stat st;
	ssize_t n;

	err = bst_open_regular(path, &fd, &st);
	if (err)
		return err;
	if (bs_hash_new(&hash, BS_DIGEST_SHA256) != BS_OK) {
		close(fd);
		return -ENOMEM;
	}
	*ret_len = 0;
	while ((n = read(fd, buf, STEP)) != 0 && !err) {
		if (n < 0 && errno != EINTR)
			err = -errno;
		if (bst_is_interrupted())
			err = -EINTR;
		if (n < 0 || err)
			continue;
		bs_hash_update(hash, buf, (size_t)n);
		*ret_len += (uint64_t)n;
	}
	bs_hash_final(hash, digest);
	bst_hex(ret_hex, digest, 32);
	bs_hash_free(hash);
	close(fd);
	return err;
}

static int put_file(struct bst_json *j, const char *dir, const char *name,
		    int may_be_missing, uint8_t *buf)
{
	char *path = bst_join(dir, name), hex[2 * BS_DIGEST_MAX + 1];
	uint64_t len = 0;
	int err = path ? hash_file(path, buf, &len, hex) : -ENOMEM;

	if (err == -ENOENT && may_be_missing) {
		free(path);
		return 0;
	}
	if (err)
		bst_error("%s cannot be read for the receipt: %s.",
			  path ? path : name, strerror(-err));
	free(path);
	if (err)
		return err;
	bst_json_open(j, NULL, '{');
	bst_json_string(j, "file", name);
	bst_json_u64(j, "bytes", len);
	bst_json_string(j, "sha256", hex);
	bst_json_close(j, '}');
	return 0;
}

static int put_files(struct bst_json *j, const struct bst_talker *t)
{
	char *dir = bst_model_dir(&t->source);
	uint8_t *buf = malloc(STEP);
	const char *name;
	int err = dir && buf ? 0 : -ENOMEM;
	size_t i;

	bst_json_open(j, "files", '[');
	for (i = 0; i < sizeof(settings) / sizeof(settings[0]) && !err; i++)
		err = put_file(j, dir, settings[i], 1, buf);
	for (i = 0; (name = bsx_model_file(t->model, i)) && !err; i++)
		err = put_file(j, dir, name, 0, buf);
	bst_json_close(j, ']');
	free(buf);
	free(dir);
	return err;
}

static void put_ids(struct bst_json *j, const char *key, const uint32_t *ids,
		    size_t n)
{
	size_t i;

	bst_json_open(j, key, '[');
	for (i = 0; i < n; i++)
		bst_json_u64(j, NULL, ids[i]);
	bst_json_close(j, ']');
}

void bst_receipt_put(struct bst_json *j, const struct bst_outlook *o,
		     const struct bst_talker *t, const struct bst_answer *a,
		     uint64_t measured, const char *logits_sha256)
{
	const struct bst_choice *c = &o->choice;

	put_ids(j, "tokens", a->ids, a->n);
	put_ids(j, "prompt_tokens", a->prompt, a->n_prompt);
	bst_json_string(j, "plan", c->sentence);
	bst_json_string(j, "announcement",
			*c->announcement ? c->announcement : NULL);
	bst_json_bool(j, "bit_exact", c->member == BST_ORIGINAL);
	bst_json_u64(j, "layers_in_memory", t->plan.n_kept);
	bst_json_u64(j, "announced_bytes", t->announced);
	bst_json_u64(j, "measured_bytes", measured);
	bst_json_string(j, "logits_sha256", logits_sha256);
}

static int put_all(FILE *file, const struct bst_outlook *o,
		   const struct bst_talker *t, const struct bst_answer *a,
		   uint64_t measured, const char *logits_sha256)
{
	struct bst_json j;
	int err;

	bst_json_init(&j, file);
	bst_json_open(&j, NULL, '{');
	bst_json_string(&j, "program", bs_version());
	bst_json_string(&j, "machine", o->profile.machine);
	bst_json_string(&j, "model", t->source.path);
	err = put_files(&j, t);
	bst_receipt_put(&j, o, t, a, measured, logits_sha256);
	bst_json_close(&j, '}');
	return err;
}

static int write_receipt(const char *path, const struct bst_outlook *o,
			 const struct bst_talker *t, const struct bst_answer *a,
			 uint64_t measured, const char *logits_sha256)
{
	struct bst_outfile out;
	int err, closed;
	FILE *file;

	err = bst_outfile_open(&out, path, 1);
	if (!err)
		err = bst_outfile_stream(&out, &file);
	if (err)
		return bst_say_output_error(path, err);
	err = put_all(file, o, t, a, measured, logits_sha256);
	closed = fclose(file) == 0 ? 0 : -errno;
	if (err || closed) {
		bst_outfile_abort(&out);
		return err ? bst_exit_of_errno(-err)
			   : bst_say_output_error(path, closed);
	}
	err = bst_outfile_commit(&out, 0600, NULL);
	if (err)
		return bst_say_output_error(path, err);
	fprintf(stderr, "Receipt: %s\n", path);
	return BST_EXIT_OK;
}

int bst_receipt_keep(const struct bst_outlook *o, const struct bst_talker *t,
		     const struct bst_answer *a, uint64_t measured,
		     const char *logits_sha256)
{
	char *state = bst_state_dir(), *dir, *path = NULL;
	char name[2 * BS_DIGEST_MAX + 8];
	int code;

	dir = state ? bst_join(state, "receipts") : NULL;
	snprintf(name, sizeof(name), "%.32s.json", logits_sha256);
	if (dir && (mkdir(dir, 0700) == 0 || errno == EEXIST))
		path = bst_join(dir, name);
	if (path) {
		code = write_receipt(path, o, t, a, measured, logits_sha256);
	} else {
		bst_error("there is no place for a receipt in %s: %s.",
			  state ? state : "$XDG_STATE_HOME or $HOME",
			  strerror(errno));
		code = BST_EXIT_SYSTEM;
	}
	free(path);
	free(dir);
	free(state);
	return code;
}
