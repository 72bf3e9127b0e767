/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - printing JSON
 *
 * Keys are NULL inside arrays.  Strings may hold any bytes: what is no UTF-8
 * comes out as U+FFFD, so that the document always parses.
 */

#ifndef BST_JSON_H
#define BST_JSON_H

#include <stdint.h>
#include <stdio.h>

struct bst_json {
	FILE *file; /* borrowed */
	unsigned depth;
	int has_items; /* in what is open: a comma comes next */
};

void bst_json_init(struct bst_json *j, FILE *file);

/* 'bracket' is '{' or '['; the outermost one ends the line when closed. */
void bst_json_open(struct bst_json *j, const char *key, char bracket);
void bst_json_close(struct bst_json *j, char bracket);

/* 's' may be NULL: null. */
void bst_json_string(struct bst_json *j, const char *key, const char *s);
void bst_json_u64(struct bst_json *j, const char *key, uint64_t value);
void bst_json_real(struct bst_json *j, const char *key, double value);
void bst_json_bool(struct bst_json *j, const char *key, int value);

#endif /* BST_JSON_H */
