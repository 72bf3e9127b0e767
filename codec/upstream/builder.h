/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builder.h - JSON that grows
 */

#ifndef BS_UP_BUILDER_H
#define BS_UP_BUILDER_H

#include <stddef.h>
#include <stdint.h>

/* Zeros at first; once memory is out nothing is added any more. */
struct bs_up_text {
	char *p; /* owned by whoever has the struct */
	size_t len;
	size_t allocated;
	int has_failed;
};

void bs_up_put(struct bs_up_text *t, const char *s, size_t len);
void bs_up_put_text(struct bs_up_text *t, const char *s);
void bs_up_put_number(struct bs_up_text *t, uint64_t v);

/* With its quotes, as serde_json has it: what must be escaped, the shortest
 * way. */
void bs_up_put_string(struct bs_up_text *t, const char *s);

#endif /* BS_UP_BUILDER_H */
