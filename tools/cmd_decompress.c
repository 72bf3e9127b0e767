/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_decompress.c - bigsmall decompress
 *
 * Restores the file that a container was made of, with its mode and its time.
 * The result gets its name when every checksum and the SHA-256 have agreed.
 */

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "container.h"
#include "files.h"
#include "naming.h"
#include "unpacker.h"

enum { OPT_FORCE = 256 };

static const struct bst_option options[] = {
	{ 'o', .arg = "OUT", .value = BST_VALUE_FILE,
	  .help = "write to this file; to a directory if OUT is one, ends in "
		  "'/', or there are several SRC; else beside SRC" },
	{ 'j', .arg = "N",
	  .help = "use N threads, 1 to 256; default: one a CPU" },
	{ OPT_FORCE, "force", .help = "replace an output that exists" },
	{ 0 },
};

struct decompress {
	const char *out;
	unsigned n_threads;
	int force;
	int out_is_dir;
};

/* ---- One container ------------------------------------------------------- */

/* The first thing that was wrong: where it is and what it means. */
static int say_bad(struct bst_container *box, const struct bst_bad *bad)
{
	char where[BST_WHERE_LEN];

	(void)bst_container_load_names(box, NULL);
	bst_error("%s: chunk %llu of %s (bytes %llu to %llu of the file) "
		  "cannot be restored: %s; nothing was written.  bigsmall "
		  "verify lists all damage.",
		  box->path, (unsigned long long)bad->chunk,
		  bst_container_where(box, bad->off, bad->len, where),
		  (unsigned long long)bad->off,
		  (unsigned long long)(bad->off + bad->len - 1),
		  bs_result_text(bad->res));
	return bst_exit_of_result(bad->res);
}

static int check_digest(const struct bst_container *box,
			const struct bst_unpack *u)
{
	if (!u->has_digest ||
	    !memcmp(u->digest, box->member.digest, BS_DIGEST_MAX))
		return BST_EXIT_OK;
	bst_error("%s: the restored bytes have another SHA-256 than the file "
		  "had; nothing was written.  Restore the .bs from a copy.",
		  box->path);
	return BST_EXIT_DATA;
}

/* Decode everything into 'fd'. */
static int unpack_into(struct decompress *d, struct bst_container *box, int fd)
{
	struct bst_unpack u = {
		.box = box,
		.dst_fd = fd,
		.n_threads = d->n_threads,
	};
	int code;

	bst_progress_begin(bst_base_name(box->path), box->member.size);
	code = bst_unpack(&u);
	bst_progress_end();
	if (code != BST_EXIT_OK && code != BST_EXIT_INTERRUPTED)
		bst_error("%s: %s.", box->path, u.error);
	if (code == BST_EXIT_OK && u.n_bad)
		code = say_bad(box, &u.bad[0]);
	if (code == BST_EXIT_OK)
		code = check_digest(box, &u);
	if (code == BST_EXIT_OK && bst_is_interrupted())
		code = BST_EXIT_INTERRUPTED;
	bst_unpack_fini(&u);
	return code;
}

static int write_file(struct decompress *d, struct bst_container *box,
		      const char *dst)
{
	struct bst_outfile out = { .fd = -1 };
	int err, code;

	err = bst_outfile_check(dst, d->force, &box->st);
	if (!err)
		err = bst_outfile_open(&out, dst, d->force);
	/* Zeros are not written: the file begins as one hole. */
	if (!err && ftruncate(out.fd, (off_t)box->member.size) != 0)
		err = -errno;
	if (err) {
		bst_outfile_abort(&out);
		return bst_say_output_error(dst, err);
	}
	code = unpack_into(d, box, out.fd);
	if (code == BST_EXIT_OK) {
		err = bst_outfile_commit(&out, box->member.mode,
					 &box->member.mtime_ns);
		if (err)
			code = bst_say_output_error(dst, err);
	}
	bst_outfile_abort(&out);
	return code;
}

static void report(const struct bst_container *box, const char *dst,
		   double seconds)
{
	char from[BST_SIZE_LEN], to[BST_SIZE_LEN];

	bst_print("%s: %s → %s, %s, %.1f s\n", dst,
		  bst_size(from, (uint64_t)box->st.st_size),
		  bst_size(to, box->member.size),
		  box->member.digest_alg == BS_DIGEST_SHA256
			  ? "SHA-256 agrees"
			  : "checksums agree",
		  seconds);
}

static int say_nameless(const char *src)
{
	return bst_usage("decompress",
			 "the name %s does not end in \".bs\", so it does not "
			 "tell what to call the file; name it with -o.",
			 src);
}

/* 'dst' is NULL where 'src' tells no name. */
static int decompress_one(struct decompress *d, const char *src,
			  const char *dst)
{
	struct bst_container box;
	double begin = bst_now();
	int code;

	code = bst_container_open(&box, src);
	if (code != BST_EXIT_OK)
		return code;
	if (bs_archive_is_degraded(box.ar))
		bst_error("%s: the first superblock is damaged; the copy at "
			  "the end is used.",
			  src);
	code = dst ? write_file(d, &box, dst) : say_nameless(src);
	if (code == BST_EXIT_OK)
		report(&box, dst, bst_now() - begin);
	bst_container_close(&box);
	return code;
}

/* ---- The command --------------------------------------------------------- */

/* Where the file of 'src' goes; only the superblock is read.  *ret is NULL
 * where that does not say: decompress_one() tells why. */
static int name_output(struct decompress *d, const char *src, char **ret)
{
	struct bs_summary summary;
	struct stat st;
	char *name;
	int fd;

	*ret = NULL;
	if (d->out && !d->out_is_dir) {
		*ret = strdup(d->out);
		return *ret ? BST_EXIT_OK : BST_EXIT_SYSTEM;
	}
	if (bst_open_regular(src, &fd, &st) != 0)
		return BST_EXIT_OK;
	if (bst_container_peek(fd, &st, &summary, NULL) != BS_OK)
		summary.suffix[0] = '\0';
	close(fd);
	name = bst_naming_original(bst_base_name(src), summary.suffix);
	if (!name)
		return errno == EINVAL ? BST_EXIT_OK : BST_EXIT_SYSTEM;
	*ret = bst_naming_path(src, d->out, d->out_is_dir, name);
	free(name);
	return *ret ? BST_EXIT_OK : BST_EXIT_SYSTEM;
}

static int name_outputs(struct decompress *d, char **src, char **dst, size_t n)
{
	size_t i;
	int code;

	code = bst_naming_outdir("decompress", d->out, n, 0, &d->out_is_dir);
	for (i = 0; i < n && code == BST_EXIT_OK; i++) {
		code = name_output(d, src[i], &dst[i]);
		if (code == BST_EXIT_SYSTEM)
			bst_error("out of memory.");
	}
	if (code == BST_EXIT_OK)
		code = bst_naming_check(src, dst, n);
	return code;
}

static int decompress_all(struct decompress *d, char **src, char **dst,
			  size_t n)
{
	int code;
	size_t i;

	code = name_outputs(d, src, dst, n);
	if (code != BST_EXIT_OK)
		return code;
	for (i = 0; i < n && code != BST_EXIT_INTERRUPTED; i++)
		code = bst_exit_worse(code, decompress_one(d, src[i], dst[i]));
	if (code == BST_EXIT_INTERRUPTED)
		bst_error("interrupted; nothing unfinished was left behind.");
	return code;
}

static int parse_options(struct decompress *d, int argc, char **argv)
{
	int opt;

	while ((opt = bst_next_option(&bst_cmd_decompress, argc, argv)) != -1)
		switch (opt) {
		case 'o':
			d->out = optarg;
			break;
		case 'j':
			if (bst_parse_threads(optarg, &d->n_threads))
				return bst_usage("decompress",
						 "-j takes a number from 1 to "
						 "%d.",
						 BST_THREADS_MAX);
			break;
		case OPT_FORCE:
			d->force = 1;
			break;
		case 'h':
			bst_print_help(&bst_cmd_decompress);
			return -1;
		default:
			return bst_bad_option("decompress", opt, optind, argv);
		}
	if (optind == argc)
		return bst_usage("decompress", "no file is named.");
	return BST_EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct decompress d = { .n_threads = bst_default_threads() };
	size_t i, n;
	char **dst;
	int code;

	code = parse_options(&d, argc, argv);
	if (code)
		return code < 0 ? BST_EXIT_OK : code;
	bst_catch_signals();
	n = (size_t)(argc - optind);
	dst = calloc(n, sizeof(*dst));
	if (!dst) {
		bst_error("out of memory.");
		return BST_EXIT_SYSTEM;
	}
	code = decompress_all(&d, argv + optind, dst, n);
	for (i = 0; i < n; i++)
		free(dst[i]);
	free(dst);
	return code;
}

const struct bst_command bst_cmd_decompress = {
	"decompress",
	.operands = "SRC...",
	.value = BST_VALUE_CONTAINER,
	.what = "restore the file, bit for bit",
	.about = "Restore the file that each .bs was made of.",
	.options = options,
	.run = run,
};
