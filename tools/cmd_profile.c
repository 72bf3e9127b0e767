/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_profile.c - bigsmall profile
 *
 * What this machine can do, as plan and run go by it.
 */

#include <getopt.h>
#include <stdlib.h>

#include "cmd.h"
#include "json.h"
#include "prober.h"

enum { OPT_FORCE = 256, OPT_JSON };

static const struct bst_option options[] = {
	{ OPT_FORCE, "force", .help = "measure again" },
	{ OPT_JSON, "json", .help = "print one JSON object" },
	{ 0 },
};

/* ---- Reports ------------------------------------------------------------- */

static void tell_pair(const char *title, double alone, double together)
{
	printf("%-28s %8.2f %8.2f\n", title, alone / 1e9, together / 1e9);
}

static void tell_speeds(const struct bsx_profile *p)
{
	static const char *const products[] = { "products with BF16",
						"products with F16",
						"products with F32" };
	static const char *const decodes[] = { "decoding BF16", "decoding F16",
					       "decoding F32",
					       "decoding F8_E4M3" };
	const struct bsx_speed *one = &p->speed[BSX_ALONE];
	const struct bsx_speed *all = &p->speed[BSX_TOGETHER];
	unsigned i;

	printf("%-28s %8s %8u\n", "GB/s, by threads:", "1",
	       (unsigned)p->n_cpus);
	tell_pair("reading memory", one->read, all->read);
	for (i = 0; i < BSX_N_WEIGHT_TYPES; i++)
		tell_pair(products[i], one->product[i], all->product[i]);
	for (i = 0; i < BSX_N_DECODED; i++)
		tell_pair(decodes[i], p->decode[BSX_ALONE][i],
			  p->decode[BSX_TOGETHER][i]);
	printf("To begin and end together, threads take %.1f microseconds.\n",
	       all->round * 1e6);
}

static void tell(const struct bst_machine *m, const struct bsx_profile *p)
{
	char size[BST_SIZE_LEN], limit[BST_SIZE_LEN], left[BST_SIZE_LEN];
	unsigned i;

	bst_print("%s; %u CPU%s; %s kernels decode, %s kernels compute.\n",
		  *m->cpu ? m->cpu : "A processor without a name", m->n_cpus,
		  m->n_cpus == 1 ? "" : "s", bs_kernels_name(),
		  bsx_kernels_name());
	bst_print("Memory: %s, of which %s may be used and %s is free.\n",
		  bst_size(size, m->memory), bst_size(limit, m->limit),
		  bst_size(left, m->available));
	tell_speeds(p);
	for (i = 0; i < p->n_disks; i++)
		bst_print("Disk of %s: %.2f GB/s read%s.\n", p->disks[i].id,
			  p->disks[i].rate / 1e9,
			  p->disks[i].is_direct
				  ? ""
				  : ", through the kernel's cache");
	if (m->n_gpus)
		bst_print("GPU: %s%s%s; it is not used.\n", m->gpu,
			  *m->driver ? ", driver " : "", m->driver);
	else
		printf("GPU: none that a driver of NVIDIA's lists.\n");
}

static void tell_json(const struct bst_machine *m, const struct bsx_profile *p)
{
	struct bst_json j;

	bst_json_init(&j, stdout);
	bst_json_open(&j, NULL, '{');
	bst_profile_print(&j, p);
	bst_json_string(&j, "cpu", m->cpu);
	bst_json_string(&j, "decode_kernels", bs_kernels_name());
	bst_json_string(&j, "product_kernels", bsx_kernels_name());
	bst_json_u64(&j, "memory_bytes", m->memory);
	bst_json_u64(&j, "memory_limit_bytes", m->limit);
	bst_json_u64(&j, "memory_available_bytes", m->available);
	bst_json_u64(&j, "gpus", m->n_gpus);
	bst_json_string(&j, "gpu", m->n_gpus ? m->gpu : NULL);
	bst_json_string(&j, "gpu_driver", m->n_gpus ? m->driver : NULL);
	bst_json_close(&j, '}');
}

/* ---- The command --------------------------------------------------------- */

/* 'path' is NULL: the disk that the profile itself is on. */
static int profile(const char *path, int force, int is_json)
{
	const struct bsx_disk *disk;
	struct bst_machine m;
	struct bsx_profile p;
	char *state = NULL;
	int code;

	bst_machine_look(&m, "");
	code = bst_profile_get(&m, force, &p);
	if (!code && !path) {
		state = bst_state_dir();
		path = state;
	}
	if (!code && path)
		code = bst_profile_disk(&p, path, force, &disk);
	if (!code && path && !disk)
		bst_error("%s says nothing of its disk: too little can be read "
			  "or written there.",
			  path);
	free(state);
	if (!code && is_json)
		tell_json(&m, &p);
	else if (!code)
		tell(&m, &p);
	return code;
}

static int run(int argc, char **argv)
{
	int opt, force = 0, is_json = 0;

	while ((opt = bst_next_option(&bst_cmd_profile, argc, argv)) != -1)
		switch (opt) {
		case OPT_FORCE:
			force = 1;
			break;
		case OPT_JSON:
			is_json = 1;
			break;
		case 'h':
			bst_print_help(&bst_cmd_profile);
			return BST_EXIT_OK;
		default:
			return bst_bad_option("profile", opt, optind, argv);
		}
	if (argc - optind > 1)
		return bst_usage("profile", "name one file or directory, or "
					    "none.");
	bst_catch_signals();
	return profile(optind < argc ? argv[optind] : NULL, force, is_json);
}

const struct bst_command bst_cmd_profile = {
	"profile",
	.operands = "[PATH]",
	.value = BST_VALUE_FILE,
	.what = "what this machine can do, for plan and run",
	.about = "Show what this machine can do: memory, processors, how fast "
		 "weights are multiplied and decoded, and how fast the disk of "
		 "PATH is read. It is measured once, by plan and run, too, and "
		 "again when the machine is another.",
	.options = options,
	.run = run,
};
