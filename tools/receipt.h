/* SPDX-License-Identifier: Apache-2.0 */
/*
 * receipt.h - a record of what ran
 */

#ifndef BST_RECEIPT_H
#define BST_RECEIPT_H

#include "outlook.h"
#include "talker.h"

/*
 * Write a JSON file to receipts/ in the state directory, called after the digest
 * of the logits, with the SHA-256 of each file of the model, the plan, and what
 * came of it; and say where it is.  Returns an exit code, its sentence printed.
 */
int bst_receipt_keep(const struct bst_outlook *o, const struct bst_talker *t,
		     const struct bst_answer *a, uint64_t measured,
		     const char *logits_sha256);

#endif /* BST_RECEIPT_H */
