/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe.c - the engine's tokens and logits, for tests to compare
 *
 *	exec_probe tokens MODEL		texts, each ended by a NUL, on standard
 *					input; a line of tokens for each
 *	exec_probe start MODEL		the same, with what goes around a text
 *	exec_probe text MODEL		lines of tokens; texts, each ended by a NUL
 *	exec_probe chat MODEL		texts; what the template makes of each
 *					as a question
 *	exec_probe logits MODEL THREADS	a line of tokens; those behind each, f32
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec.h"

static void die(const char *what)
{
	fprintf(stderr, "exec_probe: %s\n", what);
	exit(1);
}

static void *must(void *p)
{
	if (!p)
		die("out of memory");
	return p;
}

static void check(enum bsx_result res, const struct bsx_error *err)
{
	if (res)
		die(err->text);
}

static void put_tokens(const struct bsx_model *m, int with_start)
{
	struct bsx_error err;
	char *text = NULL;
	size_t room = 0, n, i;
	uint32_t *ids;
	ssize_t len;

	while ((len = getdelim(&text, &room, 0, stdin)) > 0) {
		ids = NULL;
		n = 0;
		check(bsx_encode(m, text, (size_t)len - 1, with_start, &ids, &n,
				 &err),
		      &err);
		for (i = 0; i < n; i++)
			printf("%s%u", i ? " " : "", (unsigned)ids[i]);
		putchar('\n');
		free(ids);
	}
	free(text);
}

/* The next line's numbers; how many, or -1 at the end. */
static long get_ids(uint32_t **ret)
{
	char *line = NULL, *at, *end;
	size_t room = 0, n = 0;
	unsigned long id;

	if (getline(&line, &room, stdin) < 0) {
		free(line);
		return -1;
	}
	*ret = must(malloc((strlen(line) + 1) * sizeof(**ret)));
	for (at = line; (id = strtoul(at, &end, 10)), end != at; at = end)
		(*ret)[n++] = (uint32_t)id;
	free(line);
	return (long)n;
}

static void put_text(const struct bsx_model *m)
{
	struct bsx_decoder *d;
	uint32_t *ids;
	long n, i;

	while ((n = get_ids(&ids)) >= 0) {
		d = must(bsx_decoder_new(m));
		for (i = 0; i < n; i++)
			fputs(bsx_decode(d, ids[i]), stdout);
		fputs(bsx_decode_end(d), stdout);
		putchar(0);
		bsx_decoder_free(d);
		free(ids);
	}
}

static void put_chat(const struct bsx_model *m)
{
	struct bsx_error err;
	char *text = NULL, *chat;
	size_t room = 0;

	while (getdelim(&text, &room, 0, stdin) > 0) {
		const struct bsx_message message = { BSX_USER, text };

		check(bsx_render_chat(m, &message, 1, &chat, &err), &err);
		fputs(chat, stdout);
		putchar(0);
		free(chat);
	}
	free(text);
}

static void put_logits(const struct bsx_model *m, unsigned n_threads)
{
	size_t n_vocab = bsx_model_facts(m)->n_vocab, n;
	struct bsx_session_options o = { .n_threads = n_threads,
					 .budget = UINT64_MAX };
	struct bsx_session *s;
	struct bsx_error err;
	uint32_t *ids;
	float *logits;
	long got = get_ids(&ids);

	if (got < 2)
		die("no tokens");
	n = (size_t)got;
	logits = must(malloc(n * n_vocab * sizeof(*logits)));
	o.n_context = (uint32_t)n;
	check(bsx_session_new(&s, m, &o, &err), &err);
	/* All at once but the last, which goes alone. */
	check(bsx_session_feed(s, ids, n - 1, logits, n - 1, &err), &err);
	check(bsx_session_feed(s, ids + n - 1, 1, logits + (n - 1) * n_vocab, 1,
			       &err),
	      &err);
	fwrite(logits, sizeof(*logits), n * n_vocab, stdout);
	bsx_session_free(s);
	free(logits);
	free(ids);
}

int main(int argc, char **argv)
{
	struct bsx_folder folder = { .open = bsx_open_at };
	struct bsx_model *m;
	struct bsx_error err;
	int fd;

	if (argc < 3)
		die("see the head of probe.c");
	fd = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	folder.path = argv[2];
	folder.ctx = &fd;
	check(bsx_model_open(&m, &folder, NULL, &err), &err);
	if (!strcmp(argv[1], "tokens"))
		put_tokens(m, 0);
	else if (!strcmp(argv[1], "start"))
		put_tokens(m, 1);
	else if (!strcmp(argv[1], "text"))
		put_text(m);
	else if (!strcmp(argv[1], "chat"))
		put_chat(m);
	else if (!strcmp(argv[1], "logits") && argc == 4)
		put_logits(m, (unsigned)atoi(argv[3]));
	else
		die("see the head of probe.c");
	bsx_model_free(m);
	if (fflush(stdout) || ferror(stdout))
		die("standard output cannot be written");
	return 0;
}
