/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_machine.c - what is read of a machine, GPUs that a driver lists, and the
 * profile of a machine as it is kept, whatever stands in its file
 */
#include "test.h"

#include "machine.h"

static char root[] = "/tmp/bigsmall-machine.XXXXXX";

static void put(const char *path, const char *text)
{
	put_file(root, path, text);
}

static void test_look(void **state)
{
	struct bst_machine m;
	char id[256], again[256];

	(void)state;
	bst_machine_look(&m, root);
	assert_string_equal(m.cpu, "");
	assert_int_equal(m.n_gpus, 0);
	assert_true(m.memory > 0 && m.limit <= m.memory && m.n_cpus > 0);
	put("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n");
	put("proc/meminfo", "MemTotal: 3000 kB\nMemAvailable: 2000 kB\n");
	bst_machine_look(&m, root);
	assert_string_equal(m.cpu, "Some CPU @ 2 GHz");
	assert_int_equal(m.available, 2000 << 10);
	bst_machine_id(&m, id, sizeof(id));
	m.n_cpus++;
	bst_machine_id(&m, again, sizeof(again));
	assert_string_not_equal(id, again);
	put("proc/cpuinfo", "CPU implementer\t: 0x41\nCPU part\t: 0xd0c\n");
	bst_machine_look(&m, root);
	assert_string_equal(m.cpu, "0xd0c");
}

static void test_gpus(void **state)
{
	struct bst_machine m;

	(void)state;
	put("proc/driver/nvidia/gpus/0000:82:00.0/information",
	    "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 18\n");
	put("proc/driver/nvidia/gpus/0000:01:00.0/information",
	    "Model: \t\t NVIDIA A100\nIRQ:   \t\t 17\n");
	put("sys/module/nvidia/version", "550.54.15\n");
	bst_machine_look(&m, root);
	assert_int_equal(m.n_gpus, 2);
	assert_string_equal(m.gpu, "NVIDIA A100");
	assert_string_equal(m.driver, "550.54.15");
}

/* ---- Profiles ------------------------------------------------------------ */

#define CREW                                                             \
	"{\"memory_read\": 1e10, \"product_bf16\": 2e10, "               \
	"\"product_f16\": 3e10, \"product_f32\": 4e10, "                 \
	"\"round_us\": 2.5, \"decode_bf16\": 1e9, \"decode_f16\": 2e9, " \
	"\"decode_f32\": 3e9, \"decode_f8_e4m3\": 4e9}"

#define PROFILE(crew, disk)                                                  \
	"{\"version\": 1, \"machine\": \"M\", \"cpus\": 2, \"alone\": " CREW \
	", \"together\": " crew disk "}"

static enum bsx_result read_text(const char *text, struct bsx_profile *p)
{
	char path[512];
	struct bsx_error err = { "" };
	enum bsx_result res;

	put("profile.json", text);
	snprintf(path, sizeof(path), "%s/profile.json", root);
	res = bsx_profile_read(p, path, &err);
	assert_int_equal(res != BSX_OK, *err.text != 0);
	return res;
}

static void test_profile(void **state)
{
	struct bsx_profile p;

	(void)state;
	assert_int_equal(
		read_text(PROFILE(CREW,
				  ", \"disk_0\": {\"id\": \"a\", \"read\": "
				  "5e9, \"direct\": true}"),
			  &p),
		BSX_OK);
	assert_string_equal(p.machine, "M");
	assert_int_equal(p.n_cpus, 2);
	assert_true(p.speed[BSX_TOGETHER].product[1] == 3e10);
	assert_true(p.speed[BSX_ALONE].round == 2.5e-6);
	assert_true(p.decode[BSX_ALONE][3] == 4e9);
	assert_int_equal(p.n_disks, 1);
	assert_string_equal(p.disks[0].id, "a");
	assert_true(p.disks[0].is_direct);
}

static void test_hostile_profile(void **state)
{
	static const char *const bad[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"version\": 2}",
		"{\"version\": 1, \"machine\": 7}",
		PROFILE("7", ""),
		PROFILE("{}", ""),
		PROFILE("{\"memory_read\": -1}", ""),
		PROFILE("{\"memory_read\": \"fast\"}", ""),
		PROFILE("{\"memory_read\": 1e300}", ""),
		PROFILE(CREW, ", \"disk_0\": 3"),
		PROFILE(CREW, ", \"disk_0\": {\"id\": \"a\"}"),
		PROFILE(CREW, ", \"disk_0\": {\"id\": \"a\", \"read\": 0}"),
		PROFILE(CREW, ", \"disk_0\": {\"id\": \"a\", \"read\": 5e9, "
			      "\"direct\": 1}"),
	};
	struct bsx_profile p;
	char text[4096], name[600];
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_not_equal(read_text(bad[i], &p), BSX_OK);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	snprintf(text, sizeof(text),
		 "{\"version\": 1, \"machine\": \"%s\", \"cpus\": 2, "
		 "\"alone\": " CREW ", \"together\": " CREW "}",
		 name);
	assert_int_not_equal(read_text(text, &p), BSX_OK);
	/* More disks than there is room for: the first ones. */
	n = (size_t)snprintf(text, sizeof(text), "%s", PROFILE(CREW, ""));
	for (i = 0, n--; i < BSX_MAX_DISKS + 4; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      ", \"disk_%zu\": {\"id\": \"%zu\", "
				      "\"read\": 1e9}",
				      i, i);
	snprintf(text + n, sizeof(text) - n, "}");
	assert_int_equal(read_text(text, &p), BSX_OK);
	assert_int_equal(p.n_disks, BSX_MAX_DISKS);
}

static int make_root(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_look),
		cmocka_unit_test(test_gpus),
		cmocka_unit_test(test_profile),
		cmocka_unit_test(test_hostile_profile),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
