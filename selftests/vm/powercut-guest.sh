# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# The part of powercut.sh that runs in the guest.

tests=/root/selftests/guest
. $tests/cxl.sh

kmodctl() {
	$tests/kmodctl "$@"
}

must() {
	"$@" && return
	echo "failed: $*"
	exit 1
}

# verdict WORD COMMAND...
verdict() {
	local word=$1

	shift
	if "$@"; then echo "$word"; else echo "NOT $word"; fi
}

region=$(cxl_create pmem) || exit
must kmodctl load

list() {
	local name

	for name in kept new; do
		echo "region $(kmodctl info $name) $(stat -c '%a %u %g' /dev/hmem/$name)"
	done
}

case $1 in
make)
	must kmodctl attach "$region" format host=first
	must kmodctl create kept "$region" 4194304 1000 1001 0640
	must kmodctl fill kept 1
	# The same extents for one owner after the other: the pool has no others free.
	free=$(cat "/sys/class/hmem_pool/$region/free")
	must kmodctl create fill "$region" $((free - 8388608))
	must kmodctl create old "$region" 8388608
	must kmodctl fill old 2
	must kmodctl destroy old
	must kmodctl create new "$region" 8388608 1001 1001 0600
	must kmodctl fill new 3 2097152 2097152
	list
	exec hmem-power-cut
	;;
find)
	echo "stranger: $(kmodctl attach "$region" host=second)"
	echo "stranger, looking: $(kmodctl attach "$region" host=second check)"
	echo "take over: $(kmodctl attach "$region" host=second check take-over)"
	echo "owner: $(kmodctl attach "$region" host=first)"
	list
	echo "kept: $(verdict whole kmodctl verify kept 1)"
	echo "new, touched: $(verdict whole kmodctl verify new 3 2097152 2097152)"
	echo "new, untouched: $(verdict zero kmodctl verify new 0 0 2097152)" \
		"$(verdict zero kmodctl verify new 0 4194304 4194304)"
	must kmodctl destroy fill
	must kmodctl detach "$region"
	echo "stranger after detach: $(kmodctl attach "$region" host=second)"
	;;
churn)
	must kmodctl attach "$region" take-over host=first
	for _ in 1 2; do
		kmodctl churn "$region" >/dev/null &
	done
	# The moment is what varies between the cuts; there is no event to wait for.
	sleep "$2"
	exec hmem-power-cut
	;;
intact)
	must kmodctl attach "$region" host=first
	echo "kept: $(verdict whole kmodctl verify kept 1)"
	sizes=right
	sum=0
	for size in /sys/class/hmem/*/size; do
		bytes=$(cat "$size")
		case $bytes in
		2097152 | 4194304 | 8388608) ;;
		*) sizes="wrong: $size $bytes" ;;
		esac
		sum=$((sum + bytes))
	done
	[ $(($(cat "/sys/class/hmem_pool/$region/free") + sum)) = \
		"$(cat "/sys/class/hmem_pool/$region/size")" ] || sizes="wrong: the sum"
	for churned in /sys/class/hmem/churn-*; do
		[ ! -e "$churned" ] || must kmodctl destroy "${churned##*/}"
	done
	echo "sizes: $sizes"
	must kmodctl detach "$region"
	;;
esac
must kmodctl unload
must cxl destroy-region -f "$region"
