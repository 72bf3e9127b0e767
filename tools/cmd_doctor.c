/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_doctor.c - bigsmall doctor
 *
 * Looks at what mounting and decoding need of this machine.  A problem keeps
 * mounts from working; a note costs speed or comfort.  Each comes with what
 * helps.  Nothing is changed, and nothing is mounted.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cmd.h"
#include "files.h"
#include "json.h"

#define CAP_SYS_ADMIN_BIT 21
#define MEMORY_WANTED ((uint64_t)1 << 30) /* four times the default cache */
#define FILES_WANTED 1024
#define TEXT_LEN 512

enum { OPT_JSON = 256 };

static const struct bst_option options[] = {
	{ OPT_JSON, "json", .help = "print one JSON object" },
	{ 0 },
};

enum level { OK, NOTE, PROBLEM };

struct doctor {
	unsigned n_problems;
	int is_json;
	struct bst_json json;
};

/* Report: what was looked at, how it is, and what helps (NULL: nothing has
 * to). */
static void find(struct doctor *d, enum level level, const char *what,
		 const char *remedy, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

static void find(struct doctor *d, enum level level, const char *what,
		 const char *remedy, const char *fmt, ...)
{
	static const char *const names[] = { "ok", "note", "problem" };
	char text[TEXT_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->n_problems += level == PROBLEM;
	if (!d->is_json) {
		bst_print("%-8s %-12s %s%s%s.\n", names[level], what, text,
			  remedy ? "; " : "", remedy ? remedy : "");
		return;
	}
	bst_json_open(&d->json, NULL, '{');
	bst_json_string(&d->json, "what", what);
	bst_json_string(&d->json, "level", names[level]);
	bst_json_string(&d->json, "text", text);
	bst_json_string(&d->json, "remedy", remedy);
	bst_json_close(&d->json, '}');
}

/* The first bytes of a small file as a string: 0, or -1. */
static int read_text(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, len - 1);

	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = 0;
	return n < 0 ? -1 : 0;
}

/* A number that stands behind 'key' in a file: 0, or -1. */
static int read_number(const char *path, const char *key, int base,
		       uint64_t *ret)
{
	char buf[4096], *at, *end;

	if (read_text(path, buf, sizeof(buf)) != 0)
		return -1;
	at = strstr(buf, key);
	if (!at)
		return -1;
	at += strlen(key);
	*ret = strtoull(at, &end, base);
	return end == at ? -1 : 0;
}

/* ---- What mounting needs ------------------------------------------------- */

static const char in_container[] =
	"start the container with --device /dev/fuse --cap-add SYS_ADMIN";

static const char *container_kind(void)
{
	if (access("/.dockerenv", F_OK) == 0)
		return "Docker";
	if (access("/run/.containerenv", F_OK) == 0)
		return "Podman";
	return getenv("container");
}

static void look_at_container(struct doctor *d)
{
	const char *kind = container_kind();

	if (kind)
		find(d, OK, "container", NULL,
		     "this runs in a container (%s), where mounts are seen by "
		     "its own processes alone",
		     kind);
	else
		find(d, OK, "container", NULL, "this is no container");
}

static void look_at_device(struct doctor *d)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		find(d, OK, "/dev/fuse", NULL, "it can be opened");
	} else if (container_kind()) {
		find(d, PROBLEM, "/dev/fuse", in_container,
		     "it cannot be opened: %s", strerror(errno));
	} else if (errno == EACCES) {
		find(d, PROBLEM, "/dev/fuse",
		     "as root, run chmod 666 /dev/fuse",
		     "it may not be opened");
	} else {
		find(d, PROBLEM, "/dev/fuse", "as root, run modprobe fuse",
		     "it cannot be opened: %s", strerror(errno));
	}
}

/* Where PATH has 'name': 0 and its status, or -1. */
static int find_program(const char *name, struct stat *ret)
{
	const char *path = getenv("PATH");
	char file[PATH_MAX];

	while (path && *path) {
		size_t len = strcspn(path, ":");

		if (snprintf(file, sizeof(file), "%.*s/%s", (int)len, path,
			     name) < PATH_MAX &&
		    access(file, X_OK) == 0 && stat(file, ret) == 0)
			return 0;
		path += len + (path[len] == ':');
	}
	return -1;
}

static void look_at_rights(struct doctor *d)
{
	uint64_t caps = 0;
	struct stat st;

	if (geteuid() == 0) {
		if (read_number("/proc/self/status", "CapEff:", 16, &caps) ==
			    0 &&
		    !(caps >> CAP_SYS_ADMIN_BIT & 1))
			find(d, PROBLEM, "mount", in_container,
			     "root may not mount here (CAP_SYS_ADMIN)");
		else
			find(d, OK, "mount", NULL, "root may mount");
	} else if (find_program("fusermount3", &st) != 0) {
		find(d, PROBLEM, "fusermount3",
		     "as root, run apt-get install fuse3",
		     "it is not in PATH, and mounts for users");
	} else if (!(st.st_mode & S_ISUID) || st.st_uid != 0) {
		find(d, PROBLEM, "fusermount3",
		     "as root, run chmod u+s on it, or install fuse3 again",
		     "it is not set-user-ID root, so it cannot mount");
	} else {
		find(d, OK, "fusermount3", NULL, "it can mount for this user");
	}
}

/* Docker's own profile denies mounting even with the capability. */
static void look_at_apparmor(struct doctor *d)
{
	char label[TEXT_LEN / 2];

	if (read_text("/proc/self/attr/current", label, sizeof(label)) != 0)
		return;
	label[strcspn(label, "\n")] = 0;
	if (strstr(label, "(enforce)") && container_kind())
		find(d, PROBLEM, "AppArmor",
		     "start the container with --security-opt "
		     "apparmor=unconfined",
		     "the profile %s may deny mounting", label);
}

static void look_at_allow_other(struct doctor *d)
{
	FILE *file = fopen("/etc/fuse.conf", "re");
	int is_allowed = geteuid() == 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, " \t\n")] = 0;
		is_allowed |= !strcmp(line, "user_allow_other");
	}
	if (file)
		fclose(file);
	if (is_allowed)
		find(d, OK, "allow_other", NULL, "%s",
		     geteuid() == 0 ? "root may give it, and does by default"
				    : "/etc/fuse.conf lets users give it");
	else
		find(d, NOTE, "allow_other",
		     "as root, write user_allow_other into /etc/fuse.conf",
		     "users may not give it, so a mount is for its owner "
		     "alone");
}

static void look_at_helper(struct doctor *d)
{
	char dir[PATH_MAX], remedy[PATH_MAX + 64];
	ssize_t len = readlink("/proc/self/exe", dir, sizeof(dir) - 1);

	dir[len > 0 ? len : 0] = 0;
	snprintf(remedy, sizeof(remedy),
		 "as root, run ln -sf %.*s/mount.bigsmall /sbin/",
		 (int)(bst_base_name(dir) - dir - 1), dir);
	if (access("/sbin/mount.bigsmall", X_OK) == 0)
		find(d, OK, "mount(8)", NULL,
		     "/sbin/mount.bigsmall is there, so mount(8) and fstab "
		     "know bigsmall");
	else
		find(d, NOTE, "mount(8)", remedy,
		     "/sbin/mount.bigsmall %s, so mount -t bigsmall and fstab "
		     "do not work",
		     errno == ENOENT ? "is not there" : "cannot be run");
}

/* ---- What makes it fast -------------------------------------------------- */

static void look_at_kernel(struct doctor *d)
{
	unsigned major_no = 0, minor_no = 0;
	struct utsname name;
	uint64_t pages = 256;

	uname(&name);
	sscanf(name.release, "%u.%u", &major_no, &minor_no);
	read_number("/proc/sys/fs/fuse/max_pages_limit", "", 10, &pages);
	if (major_no < 4 || (major_no == 4 && minor_no < 20))
		find(d, NOTE, "kernel", "a kernel from 4.20 on is faster",
		     "Linux %s reads 128 KiB at a time through FUSE",
		     name.release);
	else if (pages < 256)
		find(d, NOTE, "kernel",
		     "as root, run sysctl fs.fuse.max_pages_limit=256",
		     "Linux %s reads at most %llu KiB at a time through FUSE",
		     name.release, (unsigned long long)pages * 4);
	else
		find(d, OK, "kernel", NULL,
		     "Linux %s reads 1 MiB at a time through FUSE",
		     name.release);
}

static void look_at_uring(struct doctor *d)
{
	uint64_t is_disabled = 0;

	/* Without its argument it fails, if it is there, for that reason. */
	if (syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno == EFAULT) {
		find(d, OK, "io_uring", NULL, "it can be used");
		return;
	}
	read_number("/proc/sys/kernel/io_uring_disabled", "", 10, &is_disabled);
	if (is_disabled)
		find(d, NOTE, "io_uring",
		     "as root, run sysctl kernel.io_uring_disabled=0",
		     "it is disabled, so the store is read piece by piece");
	else
		find(d, NOTE, "io_uring",
		     "a container's seccomp profile can permit it",
		     "it is not permitted (%s), so the store is read piece by "
		     "piece",
		     strerror(errno));
}

static void look_at_read_ahead(struct doctor *d)
{
	static const char so[] = "so programs that map models read 128 KiB "
				 "ahead";
	struct statvfs st;

	if (geteuid() != 0)
		find(d, NOTE, "read-ahead", "root's mounts read 1 MiB ahead",
		     "users may not raise it, %s", so);
	else if (statvfs("/sys/class/bdi", &st) != 0 || st.f_flag & ST_RDONLY)
		find(d, NOTE, "read-ahead",
		     "a container needs /sys writable (--privileged)",
		     "/sys/class/bdi cannot be written, %s", so);
	else
		find(d, OK, "read-ahead", NULL, "it can be raised to 1 MiB");
}

static void look_at_cpu(struct doctor *d)
{
	find(d, OK, "CPU", NULL, "decoding uses the %s kernels on %u threads",
	     bs_kernels_name(), bst_default_threads());
}

/* The smallest of the limits above this process's own cgroup, and the memory
 * that is free. */
static uint64_t memory_limit(void)
{
	char text[4096], path[PATH_MAX];
	uint64_t least = UINT64_MAX, n;
	char *at, *group;

	if (read_number("/proc/meminfo", "MemAvailable:", 10, &n) == 0)
		least = n * 1024;
	if (read_text("/proc/self/cgroup", text, sizeof(text)) != 0)
		return least;
	/* "ID:CONTROLLERS:/GROUP" a line; version 2 is "0::/GROUP". */
	for (group = strtok_r(text, "\n", &at); group;
	     group = strtok_r(NULL, "\n", &at)) {
		int is_v1 = strstr(group, ":memory:") != NULL;

		if (!is_v1 && strncmp(group, "0::", 3) != 0)
			continue;
		group = strrchr(group, ':') + 1;
		do {
			snprintf(path, sizeof(path),
				 "/sys/fs/cgroup%s%.2048s%s",
				 is_v1 ? "/memory" : "", group,
				 is_v1 ? "/memory.limit_in_bytes"
				       : "/memory.max");
			if (read_number(path, "", 10, &n) == 0 && n < least)
				least = n;
			if (strrchr(group, '/'))
				*strrchr(group, '/') = 0;
			else
				break;
		} while (1);
	}
	return least;
}

static void look_at_memory(struct doctor *d)
{
	uint64_t limit = memory_limit();
	char size[BST_SIZE_LEN];

	bst_size(size, limit);
	if (limit < MEMORY_WANTED)
		find(d, NOTE, "memory", "mount with a smaller -o cache=SIZE",
		     "%s are to be had, and a mount takes 256 MiB and 2 MiB a "
		     "thread",
		     size);
	else
		find(d, OK, "memory", NULL, "%s are to be had", size);
}

static void look_at_files(struct doctor *d)
{
	struct rlimit lim = { 0 };

	getrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_cur < FILES_WANTED)
		find(d, NOTE, "open files", "raise it with ulimit -n 1024",
		     "%llu may be open at a time, so a mount with many readers "
		     "can fail",
		     (unsigned long long)lim.rlim_cur);
	else
		find(d, OK, "open files", NULL, "enough may be open at a time");
}

/* ---- The command --------------------------------------------------------- */

static int examine(struct doctor *d)
{
	bst_json_init(&d->json, stdout);
	if (d->is_json) {
		bst_json_open(&d->json, NULL, '{');
		bst_json_open(&d->json, "findings", '[');
	}
	look_at_container(d);
	look_at_device(d);
	look_at_rights(d);
	look_at_apparmor(d);
	look_at_allow_other(d);
	look_at_helper(d);
	look_at_kernel(d);
	look_at_uring(d);
	look_at_read_ahead(d);
	look_at_cpu(d);
	look_at_memory(d);
	look_at_files(d);
	if (d->is_json) {
		bst_json_close(&d->json, ']');
		bst_json_bool(&d->json, "can_mount", !d->n_problems);
		bst_json_close(&d->json, '}');
	} else if (d->n_problems) {
		printf("Mounting does not work here: %u problem%s; everything "
		       "else does.\n",
		       d->n_problems, d->n_problems == 1 ? "" : "s");
	} else {
		printf("Mounting can work here.\n");
	}
	return d->n_problems ? BST_EXIT_SYSTEM : BST_EXIT_OK;
}

static int run(int argc, char **argv)
{
	struct doctor d = { 0 };
	int opt;

	while ((opt = bst_next_option(&bst_cmd_doctor, argc, argv)) != -1)
		switch (opt) {
		case OPT_JSON:
			d.is_json = 1;
			break;
		case 'h':
			bst_print_help(&bst_cmd_doctor);
			return BST_EXIT_OK;
		default:
			return bst_bad_option("doctor", opt, optind, argv);
		}
	if (optind < argc)
		return bst_usage("doctor", "it takes no operand.");
	return examine(&d);
}

const struct bst_command bst_cmd_doctor = {
	"doctor",
	.operands = "",
	.what = "whether mounting can work here, and what helps",
	.about = "Look at what mounting needs of this machine, and say what is "
		 "missing.",
	.options = options,
	.run = run,
};
