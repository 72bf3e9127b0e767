/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outlook.c - what would run, for a model that is open on this machine
 *
 * The facts that planner.c goes by: what the engine would take for each way to
 * hold the weights, how much memory there is, how fast the machine is, and
 * whether a mount of ours stands between the model and its disk.
 */

#include "outlook.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "files.h"
#include "fs.h"
#include "prober.h"

/* Of memory that can be had, what is left to others. */
#define LEFT_PART 16

/* Which of a model's members is open. */
static enum bst_member member_of(const struct bst_talker *t)
{
	return bsx_model_facts(t->model)->is_int4 ? BST_INT4 : BST_ORIGINAL;
}

/* What the model's weights take on the disk, and the first file that they are
 * in: the caller's to free. */
static int look_at_files(struct bst_outlook *o, const struct bst_talker *t,
			 char **ret_first)
{
	enum bst_member member = member_of(t);
	struct bst_member_facts *m = &o->facts.members[member];
	char *path, *last = NULL;
	const char *name;
	struct stat st;
	size_t i;

	*ret_first = NULL;
	for (i = 0; (name = bsx_model_file(t->model, i)); i++) {
		path = bst_model_stored(&t->source, name);
		if (!path) {
			free(last);
			return bst_say_no_memory();
		}
		/* A bundle has them all. */
		if ((!last || strcmp(last, path) != 0) && stat(path, &st) == 0)
			m->stored_bytes += (uint64_t)st.st_size;
		if (!*ret_first)
			*ret_first = strdup(path);
		free(last);
		last = path;
	}
	free(last);
	/* A .bsd has both, and of it no more than this is read. */
	if (member == BST_INT4)
		m->stored_bytes = bsx_model_facts(t->model)->file_bytes;
	return *ret_first ? BST_EXIT_OK : bst_say_no_memory();
}

/* ---- Facts --------------------------------------------------------------- */

static void look_at_way(struct bst_outlook *o, const struct bst_talker *t,
			const struct bst_talker_options *how,
			enum bst_member member, enum bst_way way)
{
	struct bst_way_facts *f = &o->facts.members[member].ways[way];
	struct bst_talker_options options = *how;
	struct bsx_error *err = &o->why_not[member][way];

	options.streams = way == BST_STREAMED;
	options.budget = way == BST_WHOLE ? 0 : o->facts.room;
	if (bst_talker_would(t, &options, &f->plan, &f->bytes, err))
		f->why_not = err->text;
}

static void look_at_model(struct bst_outlook *o, struct bst_talker *t,
			  const struct bst_talker_options *how)
{
	enum bst_member member = member_of(t);
	struct bst_member_facts *m = &o->facts.members[member];
	const struct bsx_facts *f = bsx_model_facts(t->model);
	enum bst_way way;

	o->facts.arch = f->arch;
	o->facts.n_weights = f->n_weights;
	o->facts.n_threads = how->n_threads;
	o->facts.n_context = how->n_context;
	m->is_there = 1;
	m->weight_bytes = f->weight_bytes;
	m->n_layers = f->n_layers;
	m->work = f->work;
	for (way = 0; way < BST_N_WAYS; way++)
		look_at_way(o, t, how, member, way);
}

static int look_at_disk(struct bst_outlook *o, const struct bst_talker *t)
{
	char *path;
	int code = look_at_files(o, t, &path);

	if (!code)
		code = bst_profile_disk(&o->profile, path, 0, &o->disk);
	free(path);
	if (o->disk)
		o->facts.disk_rate = o->disk->rate;
	return code;
}

int bst_outlook(struct bst_outlook *o, struct bst_talker *t,
		struct bst_talker_options *how, const struct bst_wishes *w)
{
	const struct bst_way_facts *way;
	int code;

	memset(o, 0, sizeof(*o));
	bst_talker_look(t);
	bst_machine_look(&o->machine, "");
	o->facts.room = w->budget ? w->budget
				  : o->machine.available -
					    o->machine.available / LEFT_PART +
					    bst_status_bytes(0, "VmRSS:");
	o->facts.mode = w->mode;
	o->facts.is_plain = w->is_plain;
	o->facts.streams = w->streams;
	if (t->source.kind != BST_MODEL_PLAIN)
		o->facts.source = BST_FROM_MOUNT;
	code = bst_profile_get(&o->machine, 0, &o->profile);
	if (!code)
		code = look_at_disk(o, t);
	if (code)
		return code;
	look_at_model(o, t, how);
	o->facts.profile = &o->profile;
	bst_choose(&o->facts, &o->choice);
	if (o->choice.code) {
		bst_error("%s", o->choice.refusal);
		return o->choice.code;
	}
	way = &o->facts.members[o->choice.member].ways[o->choice.way];
	t->plan = way->plan;
	t->announced = way->bytes;
	how->streams = o->choice.way == BST_STREAMED;
	how->budget = o->choice.way == BST_WHOLE ? 0 : o->facts.room;
	return BST_EXIT_OK;
}
