/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_pressure.c - memory that can be had: of the machine, in groups of
 * version 1 and 2, and in those above
 */

#include "../test.h"

#include "fs.h"

static char root[] = "/tmp/bigsmall-pressure.XXXXXX";

static void put(const char *path, const char *text)
{
	put_file(root, path, text);
}

static void test_machine(void **state)
{
	(void)state;
	assert_true(bsfs_memory_available(root) == UINT64_MAX);
	put("proc/meminfo", "MemTotal:  9000 kB\nMemAvailable:     3000 kB\n");
	assert_int_equal(bsfs_memory_available(root), 3000 << 10);
	assert_int_equal(bsfs_memory_limit(root), 9000 << 10);
}

static void test_version_1(void **state)
{
	(void)state;
	put("proc/self/cgroup", "9:cpu,cpuacct:/x\n4:pids,memory:/a/b\n0::/\n");
	put("sys/fs/cgroup/memory/memory.limit_in_bytes",
	    "9223372036854771712\n");
	put("sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "1000000\n");
	put("sys/fs/cgroup/memory/a/b/memory.usage_in_bytes", "900000\n");
	put("sys/fs/cgroup/memory/a/b/memory.stat",
	    "inactive_file 1\ntotal_inactive_file 400000\n");
	assert_int_equal(bsfs_memory_available(root), 500000);
	assert_int_equal(bsfs_memory_limit(root), 1000000);
	/* The group above has less left. */
	put("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "2000000\n");
	put("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "1999000\n");
	assert_int_equal(bsfs_memory_available(root), 1000);
	/* More than all is used. */
	put("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "2000001\n");
	assert_int_equal(bsfs_memory_available(root), 0);
}

static void test_version_2(void **state)
{
	(void)state;
	put("proc/self/cgroup", "0::/user.slice/m.service\n");
	put("sys/fs/cgroup/user.slice/m.service/memory.max", "max\n");
	assert_int_equal(bsfs_memory_available(root), 3000 << 10);
	put("sys/fs/cgroup/user.slice/m.service/memory.high", "100000\n");
	put("sys/fs/cgroup/user.slice/m.service/memory.current", "90000\n");
	put("sys/fs/cgroup/user.slice/m.service/memory.stat",
	    "inactive_anon 5\ninactive_file 30000\n");
	assert_int_equal(bsfs_memory_available(root), 40000);
	put("sys/fs/cgroup/user.slice/m.service/memory.max", "70000\n");
	assert_int_equal(bsfs_memory_available(root), 10000);
	put("sys/fs/cgroup/user.slice/memory.max", "5\n");
	put("sys/fs/cgroup/user.slice/memory.current", "3\n");
	assert_int_equal(bsfs_memory_available(root), 2);
}

static void test_nonsense(void **state)
{
	(void)state;
	put("proc/self/cgroup", "\n:\n::\n0::\nx\n1:memory\n1:memory:\n");
	put("sys/fs/cgroup/memory.max", "x");
	assert_int_equal(bsfs_memory_available(root), 3000 << 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_version_1),
		cmocka_unit_test(test_version_2),
		cmocka_unit_test(test_nonsense),
	};
	char command[64];
	int res;

	if (!mkdtemp(root))
		return 1;
	res = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command) ? 1 : res;
}
