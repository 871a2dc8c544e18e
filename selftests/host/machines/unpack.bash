# SPDX-License-Identifier: GPL-2.0-only
# Machines of this directory as a tree of files, as capture found them.

# machine_unpack FILE DIR
machine_unpack() {
	local path content

	while IFS= read -r line; do
		case $line in
		'#'*) continue ;;
		*' -> '*)
			path=$2/${line% -> *}
			mkdir -p "${path%/*}" "$2/${line#* -> }"
			ln -s "$2/${line#* -> }" "$path"
			;;
		*/) mkdir -p "$2/$line" ;;
		*)
			path=$2/${line%%$'\t'*} content=${line#*$'\t'}
			mkdir -p "${path%/*}"
			printf '%b' "$content" >"$path"
			;;
		esac
	done <"$1"
}
