/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prober.c - what this machine can do: measured once, and kept
 *
 * A child process measures, so that its memory is not counted as that of
 * whoever wants to know, and what it finds out comes through a page they share.
 * The file appears whole or not at all; one that does not read as it was
 * written, or is of another machine, is measured anew.
 */

#include "prober.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bencher.h"
#include "cmd.h"
#include "files.h"
#include "json.h"

#define NAME "profile.json"
#define VERSION 1

#define SECONDS 0.6 /* for all that threads do */
#define DECODE_SECONDS 0.1
#define SAMPLE_LEN ((size_t)8 << 20) /* of weights of a type */
#define GAUGE_LEN ((size_t)96 << 20)
#define GAUGE_MAX ((size_t)256 << 20) /* some count others' caches, too */

/* ---- State --------------------------------------------------------------- */

/* Make each directory of 'path' that is missing: 0 or -1. */
static int make_dirs(char *path)
{
	char *at = path;

	while ((at = strchr(at + 1, '/'))) {
		*at = 0;
		if (mkdir(path, 0700) != 0 && errno != EEXIST) {
			*at = '/';
			return -1;
		}
		*at = '/';
	}
	return mkdir(path, 0700) != 0 && errno != EEXIST ? -1 : 0;
}

char *bst_state_dir(void)
{
	const char *base = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *local, *ret;

	if (base && *base == '/') {
		ret = bst_join(base, "bigsmall");
	} else if (home && *home == '/') {
		local = bst_join(home, ".local/state");
		ret = local ? bst_join(local, "bigsmall") : NULL;
		free(local);
	} else {
		errno = ENOENT;
		return NULL;
	}
	if (ret && make_dirs(ret) != 0) {
		free(ret);
		return NULL;
	}
	return ret;
}

/* ---- Weights of a type --------------------------------------------------- */

static uint32_t next(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 32);
}

/* The sum of four even numbers is near enough to what weights are. */
static float likely_weight(uint64_t *state)
{
	int64_t sum = 0;
	unsigned i;

	for (i = 0; i < 4; i++)
		sum += (int32_t)next(state);
	return (float)sum * 2e-11f;
}

/* A number with fewer bits of exponent and mantissa, rounded towards 0. */
static uint32_t narrow(float value, unsigned exponent, unsigned mantissa)
{
	int bias = (1 << (exponent - 1)) - 1, e;
	uint32_t bits, sign;

	memcpy(&bits, &value, sizeof(bits));
	sign = bits >> 31 << (exponent + mantissa);
	e = (int)(bits >> 23 & 255) - 127 + bias;
	if (e <= 0)
		return sign;
	return sign | (uint32_t)e << mantissa |
	       (bits & 0x7fffff) >> (23 - mantissa);
}

static void put_weight(uint8_t *at, enum bs_dtype dtype, float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	if (dtype == BS_DTYPE_BF16)
		bits >>= 16;
	else if (dtype == BS_DTYPE_F16)
		bits = narrow(value, 5, 10);
	else if (dtype == BS_DTYPE_F8_E4M3)
		bits = narrow(16 * value, 4, 3);
	memcpy(at, &bits, bs_dtype_bits(dtype) / 8);
}

/* A safetensors file of one such tensor, in memory: a descriptor or -errno. */
static int make_sample(enum bs_dtype dtype)
{
	size_t unit = bs_dtype_bits(dtype) / 8, n = SAMPLE_LEN / unit, i;
	int fd = memfd_create("sample", MFD_CLOEXEC), err;
	uint8_t *data = malloc(SAMPLE_LEN);
	char head[8 + 160] = { 0 };
	uint64_t state = 1, len;

	if (fd < 0 || !data) {
		err = fd < 0 ? -errno : -ENOMEM;
		goto out;
	}
	for (i = 0; i < n; i++)
		put_weight(data + i * unit, dtype, likely_weight(&state));
	len = sizeof(head) - 8;
	snprintf(head + 8, sizeof(head) - 8,
		 "{\"w\":{\"dtype\":\"%s\",\"shape\":[%zu,1024],"
		 "\"data_offsets\":[0,%zu]}}",
		 bs_dtype_name(dtype), n / 1024, SAMPLE_LEN);
	memset(head + 8 + strlen(head + 8), ' ', len - strlen(head + 8));
	memcpy(head, &len, 8);
	err = bst_pwrite_all(fd, head, sizeof(head), 0);
	if (!err)
		err = bst_pwrite_all(fd, data, SAMPLE_LEN, sizeof(head));
out:
	free(data);
	if (err && fd >= 0)
		close(fd);
	return err ? err : fd;
}

/* Bytes a second: the median of some turns. */
static int time_decoding(struct bst_bencher *b, unsigned n_threads, double *ret)
{
	double begin, rate[32];
	int code;
	size_t n = 0;

	/* The first turn meets pages that are new. */
	code = bst_bencher_run(b, BST_BENCH_OURS, BST_BENCH_DECODE, n_threads,
			       &rate[0]);
	begin = bst_now();
	while (!code && n < 32 &&
	       (n < 3 || bst_now() - begin < DECODE_SECONDS)) {
		code = bst_bencher_run(b, BST_BENCH_OURS, BST_BENCH_DECODE,
				       n_threads, &rate[n]);
		n++;
	}
	if (code)
		return code;
	qsort(rate, n, sizeof(*rate), bst_by_value);
	*ret = rate[n / 2] * 1e9;
	return BST_EXIT_OK;
}

static int measure_decoding(struct bsx_profile *p, unsigned i,
			    enum bs_dtype dtype)
{
	struct bst_specimen spec = { .fd = -1 };
	struct bst_bencher *b = NULL;
	int fd = make_sample(dtype), code;
	char path[64];

	if (fd < 0) {
		bst_error("weights to measure with cannot be made: %s.",
			  strerror(-fd));
		return bst_exit_of_errno(-fd);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	code = bst_specimen_open(&spec, path);
	close(fd);
	if (!code)
		code = bst_bencher_new(&b, &spec, p->n_cpus, 1);
	if (!code)
		code = time_decoding(b, 1, &p->decode[BSX_ALONE][i]);
	if (!code)
		code = time_decoding(b, p->n_cpus, &p->decode[BSX_TOGETHER][i]);
	bst_bencher_free(b);
	bst_specimen_close(&spec);
	return code;
}

/* ---- Measuring ----------------------------------------------------------- */

/* More than caches hold, but no more than a part of what there is. */
static size_t gauge_len(const struct bst_machine *m)
{
	long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
	uint64_t len = GAUGE_LEN;

	if (cache > 0 && (uint64_t)cache * 3 > len)
		len = (uint64_t)cache * 3;
	if (len > GAUGE_MAX)
		len = GAUGE_MAX;
	if (len > m->available / 4)
		len = m->available / 4;
	if (len < (uint64_t)8 << 20)
		len = (uint64_t)8 << 20;
	return (size_t)len;
}

/* The child. */
static int measure(const struct bst_machine *m, struct bsx_profile *p)
{
	static const enum bs_dtype dtypes[BSX_N_DECODED] = {
		BS_DTYPE_BF16, BS_DTYPE_F16, BS_DTYPE_F32, BS_DTYPE_F8_E4M3
	};
	const unsigned crew[BSX_N_CREWS] = { 1, m->n_cpus };
	struct bsx_error err;
	enum bsx_result res;
	int code;
	unsigned i;

	p->n_cpus = m->n_cpus;
	for (i = 0; i < BSX_N_CREWS; i++) {
		res = bsx_speed_measure(crew[i], gauge_len(m), SECONDS,
					&p->speed[i], &err);
		if (res) {
			bst_error("%s", err.text);
			return BST_EXIT_SYSTEM;
		}
		if (bst_is_interrupted())
			return BST_EXIT_INTERRUPTED;
	}
	for (i = 0; i < BSX_N_DECODED; i++) {
		code = measure_decoding(p, i, dtypes[i]);
		if (code)
			return code;
	}
	return BST_EXIT_OK;
}

static int measure_apart(const struct bst_machine *m, struct bsx_profile *ret)
{
	struct bsx_profile *shared = mmap(NULL, sizeof(*shared),
					  PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0, code = BST_EXIT_SYSTEM;
	pid_t pid;

	if (shared == MAP_FAILED)
		return bst_say_no_memory();
	/* What is not written yet would be written by both. */
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(measure(m, shared));
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0)
		bst_error("no process can be started: %s.", strerror(errno));
	else if (WIFEXITED(status))
		code = WEXITSTATUS(status);
	else
		bst_error("measuring this machine was ended by signal %d.",
			  WTERMSIG(status));
	if (code == BST_EXIT_INTERRUPTED)
		bst_error("interrupted.");
	if (!code)
		*ret = *shared;
	munmap(shared, sizeof(*shared));
	return code;
}

/* ---- Keeping ------------------------------------------------------------- */

static void print_crew(struct bst_json *j, const char *key,
		       const struct bsx_speed *s, const double *decode)
{
	bst_json_open(j, key, '{');
	bst_json_real(j, "memory_read", s->read);
	bst_json_real(j, "product_bf16", s->product[0]);
	bst_json_real(j, "product_f16", s->product[1]);
	bst_json_real(j, "product_f32", s->product[2]);
	bst_json_real(j, "round_us", s->round * 1e6);
	bst_json_real(j, "decode_bf16", decode[0]);
	bst_json_real(j, "decode_f16", decode[1]);
	bst_json_real(j, "decode_f32", decode[2]);
	bst_json_real(j, "decode_f8_e4m3", decode[3]);
	bst_json_close(j, '}');
}

void bst_profile_print(struct bst_json *j, const struct bsx_profile *p)
{
	char key[32];
	unsigned i;

	bst_json_u64(j, "version", VERSION);
	bst_json_string(j, "machine", p->machine);
	bst_json_u64(j, "cpus", p->n_cpus);
	print_crew(j, "alone", &p->speed[BSX_ALONE], p->decode[BSX_ALONE]);
	print_crew(j, "together", &p->speed[BSX_TOGETHER],
		   p->decode[BSX_TOGETHER]);
	for (i = 0; i < p->n_disks; i++) {
		snprintf(key, sizeof(key), "disk_%u", i);
		bst_json_open(j, key, '{');
		bst_json_string(j, "id", p->disks[i].id);
		bst_json_real(j, "read", p->disks[i].rate);
		bst_json_bool(j, "direct", p->disks[i].is_direct);
		bst_json_close(j, '}');
	}
}

static int write_profile(const char *path, const struct bsx_profile *p)
{
	struct bst_outfile out;
	struct bst_json j;
	FILE *file;
	int err;

	err = bst_outfile_open(&out, path, 1);
	if (err)
		return err;
	err = bst_outfile_stream(&out, &file);
	if (err)
		return err;
	bst_json_init(&j, file);
	bst_json_open(&j, NULL, '{');
	bst_profile_print(&j, p);
	bst_json_close(&j, '}');
	if (fclose(file) != 0) {
		err = -errno;
		bst_outfile_abort(&out);
		return err;
	}
	return bst_outfile_commit(&out, 0600, NULL);
}

/* That it cannot be kept costs some seconds the next time, and no more. */
static void keep(const struct bsx_profile *p)
{
	char *dir = bst_state_dir();
	char *path = dir ? bst_join(dir, NAME) : NULL;
	int err = path ? write_profile(path, p) : -errno;

	if (err)
		bst_error("what was measured of this machine cannot be kept "
			  "in %s: %s.",
			  dir ? dir : "$XDG_STATE_HOME or $HOME",
			  strerror(-err));
	free(path);
	free(dir);
}

/* Whether there is one of this machine. */
static int load(const char *machine, struct bsx_profile *ret)
{
	char *dir = bst_state_dir();
	char *path = dir ? bst_join(dir, NAME) : NULL;
	struct bsx_error err;
	enum bsx_result res = BSX_ERR_MODEL;

	if (path)
		res = bsx_profile_read(ret, path, &err);
	free(path);
	free(dir);
	return res == BSX_OK && !strcmp(ret->machine, machine);
}

int bst_profile_get(const struct bst_machine *m, int force,
		    struct bsx_profile *ret)
{
	char machine[sizeof(ret->machine)];
	int code;

	bst_machine_id(m, machine, sizeof(machine));
	if (!force && load(machine, ret))
		return BST_EXIT_OK;
	fprintf(stderr, "Measuring this machine, once: some seconds.\n");
	memset(ret, 0, sizeof(*ret));
	code = measure_apart(m, ret);
	if (code)
		return code;
	memcpy(ret->machine, machine, sizeof(machine));
	keep(ret);
	return BST_EXIT_OK;
}

static struct bsx_disk *find_disk(struct bsx_profile *p, const char *id)
{
	unsigned i;

	for (i = 0; i < p->n_disks; i++) {
		if (!strcmp(p->disks[i].id, id))
			return &p->disks[i];
	}
	return NULL;
}

/* A place for one more: the oldest gives way. */
static struct bsx_disk *new_disk(struct bsx_profile *p)
{
	if (p->n_disks < BSX_MAX_DISKS)
		return &p->disks[p->n_disks++];
	memmove(p->disks, p->disks + 1,
		(BSX_MAX_DISKS - 1) * sizeof(p->disks[0]));
	return &p->disks[BSX_MAX_DISKS - 1];
}

int bst_profile_disk(struct bsx_profile *p, const char *path, int force,
		     const struct bsx_disk **ret)
{
	struct bsx_disk found, *disk;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;

	*ret = NULL;
	if (fd < 0) {
		bst_error("%s cannot be opened: %s.", path, strerror(errno));
		return bst_exit_of_errno(errno);
	}
	err = bst_disk_id(fd, found.id, sizeof(found.id));
	disk = err ? NULL : find_disk(p, found.id);
	if (!err && (!disk || force)) {
		err = bst_is_dir(path) ? bst_disk_measure_dir(path, &found)
				       : bst_disk_measure(fd, &found);
		if (!err) {
			disk = disk ? disk : new_disk(p);
			*disk = found;
			keep(p);
		}
	}
	close(fd);
	if (err == -EINTR) {
		bst_error("interrupted.");
		return BST_EXIT_INTERRUPTED;
	}
	*ret = disk;
	return BST_EXIT_OK;
}
