# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # $qemu_dir is hmem-vm's
#
# Topologies: which CXL hardware a guest has. One file in topologies/ for each:
#
#   # Comments; the second line says what it is, for `hmem-vm list`.
#   NAME=VALUE          a default for option --NAME: size, memory or smp
#   -option value       a QEMU option, with @SIZE@ (of each device) and @STATE@ (the
#                       directory of what persists) filled in
#
# The files of persistent devices are named by their number, pmem0 and lsa0 first, in
# every topology, so that a device can be found again in another topology.

topology_dir=$qemu_dir/topologies

# topology_list - NAME and what it is, one per line
topology_list()
{
	local file

	for file in "$topology_dir"/*; do
		printf '%-12s %s\n' "${file##*/}" "$(sed -n '2s/^# //p' "$file")"
	done
}

# topology_check NAME - fail unless there is one of that name
topology_check()
{
	[[ $1 && $1 != */* && $1 != .* && -f $topology_dir/$1 ]] ||
		fail "no topology '$1': there are" "$(topology_list | awk '{ printf "%s%s", sep, $1; sep = ", " }')"
}

# topology_default NAME OPTION VALUE - what the topology says about an option, else VALUE
topology_default()
{
	local value

	value=$(sed -n "s/^$2=//p" "$topology_dir/$1")
	echo "${value:-$3}"
}

# topology_arguments NAME SIZE STATE - its QEMU options, in $topology_arguments
topology_arguments()
{
	local option value

	topology_arguments=()
	while read -r option value; do
		[[ $option == -* ]] || continue
		value=${value//@SIZE@/$2}
		topology_arguments+=("$option" "${value//@STATE@/$3}")
	done < "$topology_dir/$1"
}
