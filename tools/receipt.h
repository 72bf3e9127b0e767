/* SPDX-License-Identifier: Apache-2.0 */
/*
 * receipt.h - a record of what ran
 */

#ifndef BST_RECEIPT_H
#define BST_RECEIPT_H

#include "json.h"
#include "outlook.h"
#include "talker.h"

/* What a receipt and the answer's own JSON both tell. */
void bst_receipt_put(struct bst_json *j, const struct bst_outlook *o,
		     const struct bst_talker *t, const struct bst_answer *a,
		     uint64_t measured, const char *logits_sha256);

/*
 * Write a JSON file to receipts/ in the state directory, called after the digest
 * of the logits, with the SHA-256 of each file of the model, the plan, and what
 * came of it; and say where it is.  Returns an exit code, its sentence printed.
 */
int bst_receipt_keep(const struct bst_outlook *o, const struct bst_talker *t,
		     const struct bst_answer *a, uint64_t measured,
		     const char *logits_sha256);

#endif /* BST_RECEIPT_H */
