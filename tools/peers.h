/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers.h - other compressors, each in a child process of some Python
 *
 * What a peer does wrong is its own affair: it is said in a sentence, and the
 * peer is left out.
 */

#ifndef BST_PEERS_H
#define BST_PEERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BST_PEERS_MAX 16
#define BST_PEER_WORD 32

struct bst_peer {
	char name[BST_PEER_WORD];
	char level[BST_PEER_WORD];
	char version[BST_PEER_WORD];
};

struct bst_peers {
	const char *python; /* borrowed */
	char script[4096];
	struct bst_peer peer[BST_PEERS_MAX];
	size_t n;
};

/*
 * Ask 'python' which peers it has, and say which it has not.  Exit codes:
 * BST_EXIT_OK, with no peers where it does not answer; BST_EXIT_USAGE if there
 * is no such program; BST_EXIT_INTERRUPTED.
 */
int bst_peers_find(struct bst_peers *peers, const char *python);

/* One that works on the bytes of a descriptor. */
struct bst_peer_run {
	const struct bst_peer *peer; /* borrowed */
	pid_t pid;
	int to; /* owned, as is the other */
	int from;
	char dir[64]; /* for its files */
	char line[512];

	uint64_t stored;
	int is_slow; /* one turn says all */
};

/* Start it, and let it compress, decompress and compare.  Exit codes:
 * BST_EXIT_DATA means that it is left out, and this was said. */
int bst_peer_start(struct bst_peer_run *run, const struct bst_peers *peers,
		   size_t i, int fd);

/* Seconds of encoding and of decoding; returns as above. */
int bst_peer_turn(struct bst_peer_run *run, double *ret_encode,
		  double *ret_decode);

/* End it, also one whose start failed. */
void bst_peer_stop(struct bst_peer_run *run);

#endif /* BST_PEERS_H */
