/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_uring.c - reads in flight come back whole, with a ring and without
 *
 * Without: a child whose system calls for rings fail as in a container that
 * forbids them.
 */

#include "../test.h"

#include "uring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FILE_LEN 100000u
#define LEN 7000u

static int make_file(void)
{
	char path[] = "/tmp/test_uring.XXXXXX";
	int fd = mkstemp(path);
	unsigned i;

	assert_true(fd >= 0);
	unlink(path);
	for (i = 0; i < FILE_LEN; i++) {
		uint8_t b = (uint8_t)(i * 7 + i / 251);

		assert_int_equal(pwrite(fd, &b, 1, i), 1);
	}
	return fd;
}

static void check(const uint8_t *p, size_t len, size_t off)
{
	size_t i;

	for (i = 0; i < len; i++)
		assert_int_equal(p[i],
				 (uint8_t)((off + i) * 7 + (off + i) / 251));
}

/* As many as there may be, to the end of the file and past it. */
static void read_all(struct bsfs_uring *u, int fd)
{
	static uint8_t buf[BSFS_URING_DEPTH][LEN];
	int seen[BSFS_URING_DEPTH] = { 0 };
	unsigned i;

	for (i = 0; i < BSFS_URING_DEPTH; i++)
		bsfs_uring_read(u, fd, buf[i], LEN, (uint64_t)i * LEN, i);
	bsfs_uring_submit(u);
	for (i = 0; i < BSFS_URING_DEPTH; i++) {
		unsigned tag = BSFS_URING_DEPTH;
		size_t off;
		int n;

		bsfs_uring_wait(u, &tag, &n);
		assert_true(tag < BSFS_URING_DEPTH && !seen[tag]++);
		off = (size_t)tag * LEN;
		if (off >= FILE_LEN)
			assert_int_equal(n, 0);
		else
			assert_int_equal(
				n, FILE_LEN - off < LEN ? FILE_LEN - off : LEN);
		check(buf[tag], (size_t)n, off);
	}
}

static void read_badly(struct bsfs_uring *u)
{
	uint8_t b;
	unsigned tag;
	int n;

	bsfs_uring_read(u, -1, &b, 1, 0, 3);
	bsfs_uring_submit(u);
	bsfs_uring_wait(u, &tag, &n);
	assert_int_equal(tag, 3);
	assert_int_equal(n, -EBADF);
}

static void run(struct bsfs_uring *u)
{
	int fd = make_file(), i;

	for (i = 0; i < 20; i++) {
		read_all(u, fd);
		read_badly(u);
	}
	close(fd);
	bsfs_uring_free(u);
}

static void test_whatever_is_here(void **state)
{
	struct bsfs_uring *u = bsfs_uring_new();

	(void)state;
	assert_non_null(u);
	printf("ring: %s\n", bsfs_uring_is_async(u) ? "yes" : "no");
	run(u);
}

static int forbid_rings(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}

static void test_forbidden(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct bsfs_uring *u;

		if (!forbid_rings())
			_exit(77);
		u = bsfs_uring_new();
		if (!u || bsfs_uring_is_async(u))
			_exit(1);
		run(u);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whatever_is_here),
		cmocka_unit_test(test_forbidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
