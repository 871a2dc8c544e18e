# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# The part of shelf-power.sh that runs in the guest:
#
#	make SECONDS	shelves are made, and written to; the power is cut after so long
#	go SECONDS	is there what was acknowledged? The writers go on, the power is cut
#	recover SECONDS	the shelves are recovered, again and again, and the power is cut
#	look		is there what was acknowledged?
#
# /root/report says what was acknowledged before the last cut.

writers=/root/selftests/guest/shelf_writers

must() {
	"$@" && return
	echo "failed: $*"
	exit 1
}

# The moment is what varies between the cuts; there is no event to wait for.
cut_in() {
	sleep "$1"
	exec hmem-power-cut
}

must insmod /root/hmem.ko
if [ "$1" = make ]; then
	must hmemctl create-region journal --type pmem --size 2M >/dev/null
	must hmemctl create-region shelves --type pmem --size 48M >/dev/null
	must hmemctl create-shelf shelves/plain --size 16M --max-size 16M >/dev/null
	must hmemctl create-shelf shelves/ordered --size 16M --max-size 16M --ordered >/dev/null
else
	must hmemctl attach-pool --all >/dev/null
fi
if [ "$1" = recover ]; then
	cut_in "$2" &
	must $writers recover shelves /dev/hmem/journal
fi
must $writers verify shelves /dev/hmem/journal /root/report
[ "$1" != look ] || exit 0
cut_in "$2" &
must $writers run shelves /dev/hmem/journal 0 "$RANDOM"
