#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# http.sh - a web server shows what is mounted: whole files and ranges of them,
# to several clients at once

. "$(dirname "$0")/lib.sh"

if ! busybox --list 2>/dev/null | grep -q -x httpd; then
	skip "busybox with httpd is not installed: apt install busybox"
fi
need_weights bf16 f16
store plain store
mount_store "$work/store" "$work/mnt"
check "http" python3 "$here/http_get.py" plain mnt
finish
