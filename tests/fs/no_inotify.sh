#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Without inotify a change of the store is seen all the same, a second later:
# the tests of changes once more, where no instance can be had, and where no
# directory can be watched.

set -u

# In a user namespace its limits are ours to set.
for limit in max_inotify_instances max_inotify_watches; do
	unshare -Urm sh -c "echo 0 >/proc/sys/user/$limit" 2>/dev/null || {
		echo "skipped: no user namespace with a limit of inotify"
		exit 77
	}
done

code=0
# shellcheck disable=SC2016 # for the inner shell
for limit in max_inotify_instances max_inotify_watches; do
	for name in changes bundle_changes live; do
		BIGSMALL_IN_NAMESPACE=1 unshare -Urm --propagation private \
			sh -c '
			echo 0 >"/proc/sys/user/$1" &&
			exec sh "$2"' sh $limit "$(dirname "$0")/$name.sh" || {
			echo "FAILED: $name with $limit 0: exit $?"
			code=1
		}
	done
done
exit $code
