# SPDX-License-Identifier: GPL-2.0-only
#
# Judges one test's output: prints "PASSED FAILED SKIPPED", then one line for everything
# that is not a passed check: "failed: ..." or "skipped: ...".
#
#	awk -v status=EXIT_STATUS [-v why=TEXT] -f tap-count.awk LOG
#
# What is counted is the checks, with one failure added for whatever makes the test as a
# whole untrustworthy: no TAP, an unfinished plan, an exit status that contradicts the
# checks, or `why`, which the caller knows (a time-out, a kernel splat).

BEGIN { plan = -1 }

/^1\.\.[0-9]+/ {
	planned = $1
	sub(/^1\.\./, "", planned)
	plan = planned + 0
	if (plan == 0)
		whole = match($0, /# *[Ss][Kk][Ii][Pp]/) ? substr($0, RSTART + RLENGTH) : " no reason given"
	next
}

/^Bail out!/ {
	sub(/^Bail out! */, "")
	failures[++nfailures] = "gave up: " $0
	bailed = 1
	next
}

/^not ok( |$)/ {
	checks++
	failed++
	sub(/^not ok */, "")
	notes[++nnotes] = "failed: " $0
	next
}

/^ok( |$)/ {
	checks++
	if (match($0, /# *[Ss][Kk][Ii][Pp]/)) {
		reason = substr($0, RSTART + RLENGTH)
		name = substr($0, 1, RSTART - 1)
		sub(/^ok *[0-9]* *-? */, "", name)
		sub(/ +$/, "", name)
		sub(/^[: ]+/, "", reason)
		notes[++nnotes] = "skipped: " name (name == "" ? "" : ": ") (reason == "" ? "no reason given" : reason)
		skipped++
	} else {
		passed++
	}
	next
}

END {
	if (why != "")
		failures[++nfailures] = why
	else if (plan < 0 && !checks && !bailed)
		failures[++nfailures] = "printed no TAP (exit status " status ")"
	else if (plan < 0 && !bailed)
		failures[++nfailures] = "ended without a plan after " checks + 0 " checks (exit status " status ")"
	else if (plan >= 0 && plan != checks)
		failures[++nfailures] = "planned " plan " checks, made " checks + 0 " (exit status " status ")"
	else if (status != 0 && !failed && !bailed)
		failures[++nfailures] = "exit status " status " although every check passed"
	if (plan == 0 && !checks) {
		sub(/^[: ]+/, "", whole)
		notes[++nnotes] = "skipped: all of it: " whole
		skipped++
	}
	for (i = 1; i <= nfailures; i++)
		notes[++nnotes] = "failed: " failures[i]
	print passed + 0, failed + nfailures, skipped + 0
	for (i = 1; i <= nnotes; i++)
		print notes[i]
}
