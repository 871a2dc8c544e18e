# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2054,SC2154 # variables are shared; commas are QEMU's
#
# Booting: a guest is one QEMU process, run out of the image's tree, and these channels:
#
#   kernel.log          the serial console: the kernel's log from its first line
#   hmem.output         a virtio port: the command's stdout
#   hmem.errors         a virtio port: its stderr
#   hmem.control        a virtio port: what init has to say, "exit STATUS" or "power-cut",
#                       in a pipe whose end tells the runner that QEMU ended

# What in the kernel's log makes a run a failure. WARNING only where it begins a line: on
# some hosts the kernel has warnings to give about the processor. A program's own general
# protection fault is told with the address of the instruction, the kernel's is not.
boot_splat='\] WARNING: |BUG: |BUG [a-z]|kernel BUG at|Oops[: ]|Call Trace:|-\[ cut here \]-'
boot_splat+='|KASAN|KCSAN|UBSAN|general protection fault[,:]|unable to handle|Kernel panic'
boot_splat+='|INFO: task .* blocked for more|rcu: INFO: .*(stall|detected)'
boot_splat+='|INFO: trying to register non-static key|DEBUG_LOCKS_WARN_ON'
boot_splat+='|refcount_t: |list_(add|del) corruption|Bad page (state|map)|Bad rss-counter'

# The log's size; a panic ends the guest; no time for tests of ciphers that nobody uses.
# The watchdogs allow for a host that is busy with other things, and so does leaving out
# the test whether the timer ticks: an emulated CPU that waits for its turn fails it, and the
# kernel panics. Memory is not zeroed by default: no code may count on that, and zeroing is slow
# under emulation.
boot_parameters='console=ttyS0 earlyprintk=ttyS0 ignore_loglevel log_buf_len=4M panic=-1'
boot_parameters+=' cryptomgr.notests watchdog_thresh=30 rcupdate.rcu_cpu_stall_timeout=60'
boot_parameters+=' sysctl.kernel.hung_task_timeout_secs=60 no_timer_check init_on_alloc=0'

# boot_verdict KERNEL - the file that says whether a kernel boots with KVM on this host
boot_verdict()
{
	echo "$image_cache/kvm/$({
		cat /etc/machine-id /proc/sys/kernel/osrelease
		grep -m 1 'model name' /proc/cpuinfo
		echo "${image##*/} $1"
	} 2> /dev/null | sha256sum | cut -c 1-16)"
}

# boot_accelerator_known KERNEL - what a kernel would run with, for a person
boot_accelerator_known()
{
	if [[ ! -w /dev/kvm ]]; then
		echo tcg
	elif [[ -e $(boot_verdict "$1") ]]; then
		[[ $(< "$(boot_verdict "$1")") == yes ]] && echo kvm || echo "tcg (does not boot with kvm here)"
	else
		echo "kvm or tcg (not tried yet)"
	fi
}

# boot_accelerator KERNEL - QEMU options for the fastest way to run a kernel that is known
# to work, in $accelerator
#
# That /dev/kvm opens, and even that a guest runs for a while, says nothing: only a host
# on which this very kernel has come up with KVM has KVM. It is tried once per host.
boot_accelerator()
{
	local verdict works=no

	accelerator=(-accel tcg)
	# Only TCG counts instructions.
	[[ " ${qemu_arguments[*]-} " != *" -icount "* ]] || return 0
	[[ -w /dev/kvm ]] || return 0
	verdict=$(boot_verdict "$1")
	if [[ ! -e $verdict ]]; then
		say "trying once whether kernel $1 boots with KVM on this host"
		! boot_try_kvm "$1" || works=yes
		say "it does: $works"
		# The cache may belong to somebody else; then it is tried again.
		mkdir -p "$image_cache/kvm" 2> /dev/null
		if [[ -w $image_cache/kvm ]]; then
			echo "$works" > "$verdict.$$"
			mv "$verdict.$$" "$verdict"
		fi
	else
		works=$(< "$verdict")
	fi
	[[ $works != yes ]] || accelerator=(-accel kvm)
}

# boot_try_kvm KERNEL - boot a kernel to its init with KVM
#
# There are no drives, so the init says so and turns the power off.
boot_try_kvm()
{
	local line pid

	exec {kvm_output}< <(exec "$qemu_dir/in-tree" "$image/tree" "$kernel_boot=kernel" "$run_dir=run" -- \
		qemu-system-x86_64 "${boot_machine[@]}" -accel kvm -smp 2 -m 1G \
		-kernel /mnt/kernel/kernel -initrd /mnt/run/initramfs \
		-append "$boot_parameters" -serial stdio < /dev/null 2>&1)
	pid=$!
	while IFS= read -r -t 10 line <&"$kvm_output"; do
		# QEMU only stops the guest then, and waits for a debugger.
		[[ $line != *"KVM internal error"* ]] || break
		[[ $line != *"hmem-vm: cannot mount"* ]] || break
	done
	kill -KILL "$pid" 2> /dev/null
	wait "$pid" 2> /dev/null
	exec {kvm_output}<&-
	[[ $line == *"hmem-vm: cannot mount"* ]]
}

# -hypervisor: without it Debian's kernels do not commit CXL regions, because nothing
# would flush the caches for them.
boot_machine=(-nodefaults -no-user-config -nographic -monitor none -no-reboot
	-machine q35,cxl=on -cpu max,-hypervisor)

# boot_start KERNEL STATE OUTPUT ERRORS - start QEMU; its pid in $boot_pid, the pipe from
# it in $boot_control
boot_start()
{
	local kernel=$1 state=$2 output=$3 errors=$4
	local -a console=()

	boot_accelerator "$kernel"
	[[ ! $terminal ]] || console=(-chardev stdio,id=terminal,signal=off
		-device virtconsole,chardev=terminal)

	truncate -s 64M "$run_dir/scratch"
	# Bash gives a process of its own /dev/null to read from.
	exec {stdin}<&0
	# The pipe's writing end is in no process but QEMU.
	exec {boot_control}< <(
		exec 3>&1 4>&"$output" 5>&"$errors" 2> "$run_dir/qemu.log"
		if [[ $terminal ]]; then
			exec <&"$stdin" >&"$output"
		else
			exec < /dev/null > "$run_dir/qemu.log"
		fi
		exec "$qemu_dir/in-tree" "$image/tree" "$image=image" "$kernel_boot=kernel" "$run_dir=run" \
			"$state=state" -- \
			qemu-system-x86_64 "${boot_machine[@]}" "${accelerator[@]}" \
			-name hmem-vm -smp "$smp" -m "$memory" \
			-kernel /mnt/kernel/kernel -initrd /mnt/run/initramfs \
			-append "$boot_parameters$append" \
			-serial file:/mnt/run/kernel.log \
			-drive file=/mnt/image/root.erofs,format=raw,if=none,readonly=on,id=root \
			-device virtio-blk-pci,drive=root \
			-drive file=/mnt/run/scratch,format=raw,if=none,id=scratch \
			-device virtio-blk-pci,drive=scratch \
			-drive file=/mnt/run/payload.erofs,format=raw,if=none,readonly=on,id=payload \
			-device virtio-blk-pci,drive=payload \
			-device virtio-rng-pci \
			-device virtio-serial-pci,max_ports=8 \
			-add-fd fd=3,set=1 -add-fd fd=4,set=2 -add-fd fd=5,set=3 \
			-chardev file,id=control,path=/dev/fdset/1,append=on \
			-device virtserialport,chardev=control,name=hmem.control \
			-chardev file,id=output,path=/dev/fdset/2,append=on \
			-device virtserialport,chardev=output,name=hmem.output \
			-chardev file,id=errors,path=/dev/fdset/3,append=on \
			-device virtserialport,chardev=errors,name=hmem.errors \
			"${console[@]}" "${topology_arguments[@]}" "${qemu_arguments[@]}"
	)
	boot_pid=$!
}

# boot_kill - take the power away
boot_kill()
{
	kill -KILL "$boot_pid" 2> /dev/null
	wait "$boot_pid" 2> /dev/null
	boot_pid=
}

# boot_is_up - has the kernel handed over to init?
boot_is_up()
{
	grep -aqs 'Run /init as init process' "$run_dir/kernel.log"
}

# boot_wait TIMEOUT PATIENCE - wait for the guest's end; what became of it in $boot_end: "exit
# STATUS", "power-cut", "timeout", "died", or "hung": before init ran, its kernel said nothing
# for PATIENCE seconds
boot_wait()
{
	local deadline=$((SECONDS + $1)) patience=$2 left line status up='' said=-1 size still=0

	boot_end=died
	while :; do
		left=$((deadline - SECONDS))
		((left > 0)) || left=0.01
		# Ever again, until it is up: what it says goes to a file.
		[[ $up ]] || ((left <= 1)) || left=1
		IFS= read -r -t "$left" line <&"$boot_control"
		status=$?
		if ((status > 128 && SECONDS >= deadline)); then
			boot_end=timeout
			break
		fi
		if ((status > 128)); then
			size=$(stat -c %s "$run_dir/kernel.log")
			((size == said)) || still=$SECONDS
			said=$size
			! boot_is_up || up=1
			[[ ! $up ]] && ((SECONDS - still >= patience)) || continue
			boot_end=hung
			break
		fi
		((status == 0)) || break
		case $line in
		power-cut)
			boot_end=power-cut
			break
			;;
		"exit "*)
			boot_end=$line
			# Only the kernel's own end is left.
			deadline=$((SECONDS + 20))
			;;
		esac
	done
	boot_kill
	exec {boot_control}<&-
}
