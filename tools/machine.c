/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.c - the machine that this runs on, from what the kernel says
 *
 * GPUs are those that the NVIDIA driver lists in /proc; opening one, or asking
 * its library, would make a context on it, which takes time and memory of
 * whoever uses it.
 */

#include "machine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cmd.h"
#include "files.h"
#include "fs.h"

/* ---- What there is ------------------------------------------------------- */

/* What stands behind "KEY : " in a file; "" if it does not. */
static void read_field(const char *path, const char *key, char *buf, size_t len)
{
	FILE *file = fopen(path, "re");
	char line[512];

	*buf = 0;
	if (!file)
		return;
	while (!*buf && fgets(line, sizeof(line), file)) {
		const char *at = line + strlen(key);

		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		at += strspn(at, " \t");
		if (*at++ != ':')
			continue;
		at += strspn(at, " \t");
		snprintf(buf, len, "%.*s", (int)strcspn(at, "\n"), at);
	}
	fclose(file);
}

/* The first line of a file; "" if there is none. */
static void read_line(const char *path, char *buf, size_t len)
{
	FILE *file = fopen(path, "re");

	*buf = 0;
	if (!file)
		return;
	if (fgets(buf, (int)len, file))
		buf[strcspn(buf, "\n")] = 0;
	else
		*buf = 0;
	fclose(file);
}

static void look_for_cpu(struct bst_machine *m, const char *root)
{
	/* aarch64 has numbers alone. */
	static const char *const keys[] = { "model name", "CPU part" };
	char path[512];
	size_t i;

	snprintf(path, sizeof(path), "%s/proc/cpuinfo", root);
	for (i = 0; i < 2 && !*m->cpu; i++)
		read_field(path, keys[i], m->cpu, sizeof(m->cpu));
}

static void look_for_gpus(struct bst_machine *m, const char *root)
{
	char path[1024], gpus[512];
	const struct dirent *ent;
	DIR *dir;

	snprintf(gpus, sizeof(gpus), "%s/proc/driver/nvidia/gpus", root);
	dir = opendir(gpus);
	while (dir && (ent = readdir(dir))) {
		char model[sizeof(m->gpu)];

		if (*ent->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s/information", gpus,
			 ent->d_name);
		read_field(path, "Model", model, sizeof(model));
		/* In an order of its own, so the least counts. */
		if (!m->n_gpus++ || strcmp(model, m->gpu) < 0)
			memcpy(m->gpu, model, sizeof(m->gpu));
	}
	if (dir)
		closedir(dir);
	if (!m->n_gpus)
		return;
	snprintf(path, sizeof(path), "%s/sys/module/nvidia/version", root);
	read_line(path, m->driver, sizeof(m->driver));
}

void bst_machine_look(struct bst_machine *m, const char *root)
{
	memset(m, 0, sizeof(*m));
	m->n_cpus = bst_default_threads();
	m->memory = (uint64_t)sysconf(_SC_PHYS_PAGES) *
		    (uint64_t)sysconf(_SC_PAGESIZE);
	m->limit = bsfs_memory_limit(root);
	if (m->limit > m->memory)
		m->limit = m->memory;
	m->available = bsfs_memory_available(root);
	if (m->available > m->limit)
		m->available = m->limit;
	look_for_cpu(m, root);
	look_for_gpus(m, root);
}

void bst_machine_id(const struct bst_machine *m, char *buf, size_t len)
{
	snprintf(buf, len, "%s, %u CPUs, %llu MiB, %s and %s kernels, %s",
		 *m->cpu ? m->cpu : "a processor without a name", m->n_cpus,
		 (unsigned long long)(m->memory >> 20), bs_kernels_name(),
		 bsx_kernels_name(), bs_version());
}

/* ---- Disks --------------------------------------------------------------- */

#define STEP ((size_t)4 << 20) /* of one read: several requests of a disk */
#define ALIGN 4096
#define ENOUGH ((uint64_t)512 << 20) /* bytes, or */
#define SECONDS 0.6
#define LEAST ((off_t)16 << 20) /* of a file that says something */
#define SCRATCH ((uint64_t)64 << 20)

int bst_disk_id(int fd, char *buf, size_t len)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) != 0 || fstatfs(fd, &fs) != 0)
		return -errno;
	snprintf(buf, len, "device %u:%u, type %lx, %llu bytes",
		 major(st.st_dev), minor(st.st_dev), (unsigned long)fs.f_type,
		 (unsigned long long)fs.f_blocks *
			 (unsigned long long)fs.f_bsize);
	return 0;
}

/* Read on, in order, until it is enough: 0 or -errno. */
static int read_for_a_while(int fd, uint64_t size, uint8_t *buf, double *ret)
{
	double begin = bst_now(), took = 0;
	uint64_t off = 0, sum = 0;

	while (sum < ENOUGH && (took < SECONDS || !sum)) {
		ssize_t n;

		if (off + STEP > size)
			off = 0;
		n = pread(fd, buf, STEP, (off_t)off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if ((size_t)n != STEP)
			return -ENODATA;
		if (bst_is_interrupted())
			return -EINTR;
		off += STEP;
		sum += STEP;
		took = bst_now() - begin;
	}
	*ret = (double)sum / (took > 1e-9 ? took : 1e-9);
	return 0;
}

/* A descriptor of its own, since O_DIRECT is one's own affair; -1: there is no
 * such thing here. */
static int open_direct(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
}

int bst_disk_measure(int fd, struct bsx_disk *ret)
{
	uint8_t *buf = NULL;
	struct stat st;
	int err, direct;

	memset(ret, 0, sizeof(*ret));
	err = bst_disk_id(fd, ret->id, sizeof(ret->id));
	if (err)
		return err;
	if (fstat(fd, &st) != 0)
		return -errno;
	if (st.st_size < LEAST)
		return -ENODATA;
	if (posix_memalign((void **)&buf, ALIGN, STEP))
		return -ENOMEM;
	direct = open_direct(fd);
	err = -EINVAL;
	if (direct >= 0) {
		err = read_for_a_while(direct, (uint64_t)st.st_size, buf,
				       &ret->rate);
		ret->is_direct = !err;
		close(direct);
	}
	/* Some take the flag and refuse the read. */
	if (err == -EINVAL) {
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		err = read_for_a_while(fd, (uint64_t)st.st_size, buf,
				       &ret->rate);
	}
	free(buf);
	return err;
}

int bst_disk_measure_dir(const char *dir, struct bsx_disk *ret)
{
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), err = 0;
	uint32_t *buf = malloc(STEP), x = 1;
	uint64_t off;
	size_t i;

	if (fd < 0 || !buf) {
		err = fd < 0 ? -errno : -ENOMEM;
		goto out;
	}
	/* Some file systems and disks make nothing of zeros. */
	for (i = 0; i < STEP / sizeof(*buf); i++) {
		x = x * 1664525 + 1013904223;
		buf[i] = x;
	}
	for (off = 0; off < SCRATCH && !err; off += STEP)
		err = bst_pwrite_all(fd, buf, STEP, off);
	if (!err)
		err = bst_flush_file(fd);
	if (!err)
		err = bst_disk_measure(fd, ret);
out:
	free(buf);
	if (fd >= 0)
		close(fd);
	return err;
}
