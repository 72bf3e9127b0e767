/* SPDX-License-Identifier: Apache-2.0 */
/*
 * naming.h - what an output is called, and where it goes
 */

#ifndef BST_NAMING_H
#define BST_NAMING_H

#include <stddef.h>

/*
 * Whether -o OUT is a directory, or is to be one: it ends in '/', is one, or has
 * to hold several results.  Returns an exit code, its sentence printed.
 */
int bst_naming_outdir(const char *cmd, const char *out, size_t n_src, int *ret);

/* Make that directory if it is missing, once nothing speaks against it. */
int bst_naming_make_outdir(const char *out);

/* The path of the result of 'src', named 'name' where nothing else is said;
 * the caller's to free, or NULL. */
char *bst_naming_path(const char *src, const char *out, int out_is_dir,
		      const char *name);

/* The path of a directory by a name of its own: of "." and "..", the real one;
 * the caller's to free, or NULL. */
char *bst_naming_dir(const char *src);

/* Whether the name ends in ".safetensors", after something. */
int bst_naming_is_safetensors(const char *path);

/* The name of the container of a file ("m.safetensors" -> "m.bs"; "f" ->
 * "f.bs"), the caller's to free or NULL; *ret_suffix is what the name loses. */
char *bst_naming_container(const char *base, const char **ret_suffix);

/* "m.bs" and ".safetensors" -> "m.safetensors"; NULL with errno EINVAL where
 * the name does not end in ".bs" or nothing would be left, or ENOMEM. */
char *bst_naming_original(const char *base, const char *suffix);

/* Refuse, with a sentence, when two sources would become the same file, or one
 * would replace another that is to be read; returns an exit code.  dst[i] may be
 * NULL: source i has no result. */
int bst_naming_check(char *const *src, char *const *dst, size_t n);

#endif /* BST_NAMING_H */
