# SPDX-License-Identifier: GPL-2.0-only
#
# hmem: libhmem, hmemctl, hmem.ko, their tests and their demo. `make help` lists the targets.

include version.mk

BUILD	?= build
KDIR	?= /lib/modules/$(shell uname -r)/build

PKG_CONFIG	?= pkg-config
INSTALL		?= install
CFLAGS		?= -O2 -g

prefix		?= /usr/local
bindir		?= $(prefix)/bin
libdir		?= $(prefix)/lib
includedir	?= $(prefix)/include
mandir		?= $(prefix)/share/man
completiondir	?= $(prefix)/share/bash-completion/completions
udevdir		?= $(prefix)/lib/udev/rules.d
dkmsdir		?= $(prefix)/src/hmem-$(HMEM_RELEASE)

# V=1 shows the commands.
ifndef V
Q	:= @
SAY	= @printf '  %-6s %s\n'
else
SAY	= @:
endif

.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

# --- flags ---------------------------------------------------------------------------

WARNINGS	:= -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Werror
BASE_CFLAGS	:= -std=gnu11 $(WARNINGS) -Iinclude -Iinclude/uapi -pthread
DEPFLAGS	= -MMD -MP
# yes: of addresses and undefined behaviour; undefined: of that alone; thread: of races. That one
# does not see fences, and warns of them: where the library has one, what it orders are atomic words.
SANITIZER_yes		:= -fsanitize=address,undefined -fno-sanitize-recover=all
SANITIZER_undefined	:= -fsanitize=undefined -fno-sanitize-recover=all
SANITIZER_thread	:= -fsanitize=thread -Wno-tsan
ifdef SANITIZE
SANITIZER	:= -fno-omit-frame-pointer $(or $(SANITIZER_$(SANITIZE)),\
		   $(error SANITIZE is yes, undefined or thread))
else
NO_UNDEFINED	:= -Wl,-z,defs
endif
COMPILE		= $(CC) $(BASE_CFLAGS) $(CFLAGS) $(SANITIZER) $(CPPFLAGS) $(DEPFLAGS)
LINK		= $(CC) -pthread $(CFLAGS) $(SANITIZER) $(LDFLAGS)

# Whatever changes a command line rebuilds what it made.
FLAGS_STAMP	:= $(BUILD)/.flags
FLAGS_NOW	= $(COMPILE) $(LINK) $(HMEM_RELEASE) $(HMEMCTL_CFLAGS) $(HMEMCTL_LIBS) $(LIBHMEM_LIBS)

$(FLAGS_STAMP): FORCE | $(BUILD)
	$(file >$@.new,$(FLAGS_NOW))
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(BUILD):
	@mkdir -p $@

all: ## libhmem, hmemctl, examples, tests and, where there are headers, hmem.ko (the default)
	@./install-deps --check build
	+@$(MAKE) --no-print-directory lib tools examples selftests benches
	+@$(MAKE) --no-print-directory kmod-if-headers

# --- libhmem -------------------------------------------------------------------------

-include lib/Makefile.inc

LIB_SRC		:= $(wildcard lib/*.c)
LIB_OBJ		:= $(LIB_SRC:%.c=$(BUILD)/obj/%.o)
LIB_MAP		:= $(wildcard lib/libhmem.map)
LIB_SO		:= $(BUILD)/libhmem.so.0
LIB_CFLAGS	:= -fPIC -fvisibility=hidden -D_GNU_SOURCE -DHMEM_BUILD \
		   -DHMEM_VERSION_STRING='"$(HMEM_RELEASE)"'

$(BUILD)/obj/lib/%.o: lib/%.c $(FLAGS_STAMP)
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(COMPILE) $(LIB_CFLAGS) -c -o $@ $<

# It stays when it is closed with dlclose(3): signals, forks and the ends of threads lead into it.
$(LIB_SO): $(LIB_OBJ) $(LIB_MAP) $(FLAGS_STAMP)
	$(SAY) LINK $@
	$(Q)$(LINK) -shared -Wl,-soname,libhmem.so.0 -Wl,-z,nodelete $(NO_UNDEFINED) \
		$(LIB_MAP:%=-Wl,--version-script=%) -o $@ $(LIB_OBJ) $(LIBHMEM_LIBS)

$(BUILD)/libhmem.so: $(LIB_SO)
	$(Q)ln -sf $(<F) $@

$(BUILD)/libhmem.a: $(LIB_OBJ)
	$(SAY) AR $@
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

# The malloc of other programs has the library inside, all of it hidden. Not with sanitizers that
# have a malloc of their own.
PRELOAD_OBJ	:= $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard lib/preload/*.c))
PRELOAD_MAP	:= lib/preload/libhmem-malloc.map
PRELOAD_SO	:= $(if $(filter-out undefined,$(SANITIZE)),,$(BUILD)/libhmem-malloc.so)

# Otherwise malloc(3) and memset(3) in calloc(3) would become calloc(3).
$(PRELOAD_OBJ): LIB_CFLAGS += -fno-builtin-malloc -fno-builtin-calloc

$(BUILD)/libhmem-malloc.so: $(PRELOAD_OBJ) $(BUILD)/libhmem.a $(PRELOAD_MAP) $(FLAGS_STAMP)
	$(SAY) LINK $@
	$(Q)$(LINK) -shared -Wl,-soname,$(@F) -Wl,-z,nodelete -Wl,-z,now $(NO_UNDEFINED) \
		-Wl,--version-script=$(PRELOAD_MAP) -o $@ $(PRELOAD_OBJ) $(BUILD)/libhmem.a $(LIBHMEM_LIBS)

lib: $(if $(LIB_SRC),$(LIB_SO) $(BUILD)/libhmem.so $(BUILD)/libhmem.a) $(PRELOAD_SO) ## libhmem, and libhmem-malloc.so for programs that do not know it
	@:

# --- hmemctl -------------------------------------------------------------------------

-include tools/Makefile.inc

HMEMCTL_PKGS	?= json-c libcxl libdaxctl libkmod libpng
HMEMCTL_CFLAGS	?= $(shell $(PKG_CONFIG) --silence-errors --cflags $(HMEMCTL_PKGS))
HMEMCTL_LIBS	?= $(shell $(PKG_CONFIG) --silence-errors --libs $(HMEMCTL_PKGS))

TOOLS_SRC	:= $(wildcard tools/*.c)
TOOLS_OBJ	:= $(TOOLS_SRC:%.c=$(BUILD)/obj/%.o)

$(BUILD)/obj/tools/%.o: tools/%.c $(FLAGS_STAMP)
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(COMPILE) -D_GNU_SOURCE -DHMEM_VERSION_STRING='"$(HMEM_RELEASE)"' \
		$(HMEMCTL_CFLAGS) -c -o $@ $<

# The one in the build directory finds the library beside it; the installed one looks
# where the system does.
$(BUILD)/hmemctl: $(TOOLS_OBJ) $(BUILD)/libhmem.so
	$(SAY) LINK $@
	$(Q)$(LINK) -Wl,-rpath,'$$ORIGIN' -o $@ $(TOOLS_OBJ) -L$(BUILD) -lhmem $(HMEMCTL_LIBS)

$(BUILD)/install/hmemctl: $(TOOLS_OBJ) $(BUILD)/libhmem.so
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(LINK) -o $@ $(TOOLS_OBJ) -L$(BUILD) -lhmem $(HMEMCTL_LIBS)

tools: $(if $(TOOLS_SRC),$(BUILD)/hmemctl) ## hmemctl
	@:

# --- programs that link libhmem: examples, tests -------------------------------------

BENCHES		:= $(patsubst %.c,$(BUILD)/%,$(wildcard bench/*.c))
EXAMPLES	:= $(patsubst %.c,$(BUILD)/%,$(wildcard examples/*.c))
GUEST_TESTS	:= $(patsubst %.c,$(BUILD)/%,$(wildcard selftests/guest/*.c))
TESTS		:= $(patsubst %.c,$(BUILD)/%,$(wildcard selftests/host/*.c)) $(GUEST_TESTS)

# A change in the library asks for no new link: what they see of it is in its headers.
# Examples are built as a stranger's program would be: no define comes from here.
$(BUILD)/examples/%: examples/%.c $(FLAGS_STAMP) | $(BUILD)/libhmem.so
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(COMPILE) -MF $@.d -Wl,-rpath,'$$ORIGIN/..' $(LDFLAGS) -o $@ $< -L$(BUILD) -lhmem

$(BUILD)/selftests/%: selftests/%.c $(FLAGS_STAMP) | $(BUILD)/libhmem.so
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(COMPILE) -MF $@.d -D_GNU_SOURCE -Iselftests -Wl,-rpath,'$$ORIGIN/../..' $(LDFLAGS) \
		-o $@ $< -L$(BUILD) -lhmem $(TEST_LIBS)

$(BUILD)/selftests/host/policy $(BUILD)/selftests/host/policy_%: TEST_LIBS := -lm
$(BUILD)/selftests/host/heat_picture: TEST_LIBS := -lpng
# It is the library that libhmem looks functions up in.
$(BUILD)/selftests/host/lib_execution_opencl_played: TEST_LIBS := -rdynamic

$(BUILD)/bench/%: bench/%.c $(FLAGS_STAMP) | $(BUILD)/libhmem.so
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(COMPILE) -MF $@.d -D_GNU_SOURCE -Wl,-rpath,'$$ORIGIN/..' $(LDFLAGS) -o $@ $< -L$(BUILD) -lhmem

# Tiering in guests: the simulator's workloads and report, on a region of the module.
TIER_GUEST_OBJ	:= $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard bench/guest/*.c) \
		   $(addprefix bench/tier/,alloc.c gups.c graph.c oracle.c projected.c random.c \
		   report.c workload.c zipf.c))

$(BUILD)/obj/bench/%.o: bench/%.c $(FLAGS_STAMP)
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(COMPILE) -D_GNU_SOURCE -c -o $@ $<

$(BUILD)/bench/tier_guest: $(TIER_GUEST_OBJ) $(BUILD)/libhmem.so
	@mkdir -p $(@D)
	$(SAY) LINK $@
	$(Q)$(LINK) -Wl,-rpath,'$$ORIGIN/..' -o $@ $(TIER_GUEST_OBJ) -L$(BUILD) -lhmem -lm

include selftests/crash/Makefile.inc

examples: $(EXAMPLES) ## the example programs
	@:
selftests: $(TESTS) $(BUILD)/bench/tier_guest ## the tests written in C
	@:
preload-tests: $(filter $(BUILD)/selftests/host/preload_%,$(TESTS))
guest-tests: $(GUEST_TESTS) $(BUILD)/bench/tier_guest ## those of them that run in guests
	@:
benches: $(BENCHES) ## the measuring programs
	@:

# --- hmem.ko -------------------------------------------------------------------------

KRELEASE	= $(shell cat $(KDIR)/include/config/kernel.release 2>/dev/null)
KSTAGE		= $(BUILD)/kmod/$(KRELEASE)

# The sources are copied so that builds for several kernels live side by side.
kmod: ## hmem.ko, for the kernel whose headers are in KDIR=
	@if [ -z '$(KRELEASE)' ]; then \
		echo 'hmem.ko: no configured kernel headers in $(KDIR)' >&2; exit 1; fi
	@mkdir -p $(KSTAGE)/include
	@cp -rpu kmod Kbuild version.mk $(KSTAGE)/
	@cp -rpu include/uapi $(KSTAGE)/include/
	+$(MAKE) -C $(KDIR) M=$(abspath $(KSTAGE)) MAKEOVERRIDES= modules

# A module of its own, for guests: selftests/guest/inject/hm_inject.c says what it does.
kmod-inject: ## hm_inject.ko, which makes calls fail for the tests of hmem.ko
	@mkdir -p $(KSTAGE)/inject
	@cp -pu selftests/guest/inject/* $(KSTAGE)/inject/
	+$(MAKE) -C $(KDIR) M=$(abspath $(KSTAGE))/inject MAKEOVERRIDES= modules

# Part of plain `make` only where it can be built.
kmod-if-headers:
	+@if [ ! -e Kbuild ]; then :; \
	elif [ -z '$(KRELEASE)' ]; then \
		echo 'hmem.ko not built: no headers in $(KDIR) (make kmod KDIR=... names others)'; \
	elif ! printf '6.12\n%s\n' '$(KRELEASE)' | sort -VC; then \
		echo 'hmem.ko not built: the headers in $(KDIR) are of $(KRELEASE), older than 6.12'; \
	else $(MAKE) --no-print-directory kmod; fi

# --- what it takes, what it leaves --------------------------------------------------

deps: ## install the Debian packages that are missing (as root)
	@./install-deps build tests bench guest

clean: ## remove what was built here (the image for guests stays in its cache)
	rm -rf $(BUILD)

# --- trying and testing --------------------------------------------------------------

demo: ## from insmod to a region that survives a power cut, in a guest
	@./install-deps guest
	@examples/demo.sh

demo-host: ## the same program on this machine: no module, no root
	@./install-deps --check build
	+@$(MAKE) --no-print-directory lib examples
	@BUILD=$(BUILD) examples/demo-host.sh

# Not a prerequisite each: what is missing is said, or brought, before anything starts.
check: ## all tests; TEST=NAME one of them (selftests/run --list names them)
	@./install-deps build tests bench guest
	+@$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc)) all
	@BUILD=$(BUILD) selftests/run $(if $(TEST),'$(TEST)')

check-long: ## the same, and what takes long on both kernels
	@./install-deps build tests bench guest
	+@$(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc)) all
	@BUILD=$(BUILD) selftests/run --long $(if $(TEST),'$(TEST)')

check-sanitize: ## host tests with the sanitizers of addresses, undefined behaviour and races
	@./install-deps build tests
	+@$(MAKE) --no-print-directory BUILD=$(BUILD)/sanitize SANITIZE=yes \
		lib tools examples selftests
	+@$(MAKE) --no-print-directory BUILD=$(BUILD)/sanitize-thread SANITIZE=thread \
		lib tools examples selftests
	+@$(MAKE) --no-print-directory BUILD=$(BUILD)/sanitize-undefined SANITIZE=undefined \
		lib tools preload-tests
	@status=0; for build in sanitize sanitize-thread; do \
		BUILD=$(BUILD)/$$build selftests/run --only host $(if $(TEST),'$(TEST)') || status=1; \
	done; $(if $(filter-out host/preload% host/cli-run% host/cli-spaces%,$(TEST)),, \
		BUILD=$(BUILD)/sanitize-undefined selftests/run --only host \
		'$(or $(TEST),host/@(preload_*|cli-run.sh|cli-spaces.sh))' || status=1;) \
	exit $$status

torture: ## everything at once at random in guests: MINUTES= (20), SEED= to repeat
	@./install-deps build guest
	@BUILD=$(BUILD) selftests/torture $(or $(MINUTES),$(N),20) $(SEED)

torture-shelf: lib selftests ## kill -9 of processes on a shelf: N= kills (2000000), SEED= to repeat
	@$(BUILD)/selftests/host/shelf_kill $(or $(N),2000000) $(SEED)

power-cut: ## guests that write to shelves lose their power: N= times (100), SEED= to repeat
	@./install-deps build guest
	@selftests/vm/shelf-power.sh $(or $(N),100) $(SEED)

# With AFL++, each for N minutes; where it cannot be installed, all of the corpus once. The library
# is linked in, as that is what is to be looked into.
AFL_CC		= $(shell command -v afl-clang-fast || command -v afl-gcc-fast)
FUZZ		?= $(basename $(notdir $(wildcard fuzz/*.c)))

fuzz: $(FUZZ:%=fuzz-%) ## AFL++ on shelves, streams and superblocks, N= minutes (10) each; the corpus alone where there is none

fuzz-deps:
	@./install-deps build fuzz || echo "without AFL++ the corpus is all that is gone through" >&2

fuzz-%: fuzz/%.c fuzz-deps
	@mkdir -p $(BUILD)/fuzz
	$(or $(AFL_CC),$(CC)) $(BASE_CFLAGS) -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all \
		-Iselftests $(filter-out -fvisibility=hidden,$(LIB_CFLAGS)) \
		-o $(BUILD)/fuzz/$* $< $(LIB_SRC)
	@rm -rf $(BUILD)/fuzz/out.$*
	$(if $(AFL_CC),AFL_SKIP_CPUFREQ=1 AFL_NO_UI=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 \
		nice afl-fuzz -V $$((60 * $(or $(N),10))) -t 15000 \
		-i fuzz/corpus/$* -o $(BUILD)/fuzz/out.$* $(BUILD)/fuzz/$*,$(BUILD)/fuzz/$* fuzz/corpus/$*/*)
	@for found in $(BUILD)/fuzz/out.$*/default/crashes/id* $(BUILD)/fuzz/out.$*/default/hangs/id*; do \
		[ ! -e "$$found" ] || { echo "found: $$found" >&2; status=1; }; done; exit $${status:-0}

fuzz-ioctl: ## ioctls by the grammar of the contract: CALLS= (1000000), KERNEL= (kasan), SEED=, THREADS=
	@./install-deps build guest
	@qemu/hmem-vm run --kernel $(or $(KERNEL),kasan) --timeout 14400 -- \
		/root/selftests/guest/ioctl_fuzz $(or $(CALLS),1000000) \
		$(or $(SEED),$(shell date +%s)) $(THREADS)

check-kasan: ## tests of the module on a kernel with KASAN, lockdep and kmemleak, built once; TEST= as for check
	@./install-deps build tests guest
	@BUILD=$(BUILD) HMEM_TEST_PATIENCE=$(or $(HMEM_TEST_PATIENCE),10) \
		selftests/run --kernel $(or $(KERNEL),kasan) $(if $(TEST),'$(TEST)')

check-static: ## what shellcheck, cppcheck, sparse and clang-tidy say, where installed
	@selftests/static

BENCH_NAMES	:= $(basename $(notdir $(wildcard bench/*.sh)))

bench: $(patsubst %,bench-%,$(filter-out tier-knobs,$(BENCH_NAMES))) ## all measurements but bench-tier-knobs

bench-%: bench/%.sh ## one of them: prints its table, writes $(BUILD)/bench/NAME.json
	@./install-deps build guest
	+@$(MAKE) --no-print-directory all
	@mkdir -p $(BUILD)/bench && rm -f $(BUILD)/bench/$*.json
	@HMEM_BUILD=$(abspath $(BUILD)) BENCH_JSON=$(abspath $(BUILD))/bench/$*.json $<
	@test -s $(BUILD)/bench/$*.json || { echo '$< wrote no $(BUILD)/bench/$*.json'; exit 1; }

# --- installing ----------------------------------------------------------------------

MAN_PAGES	:= $(wildcard Documentation/man/*.[1-8])
# LINK:PAGE for every other name that a page gives itself under NAME.
MAN_LINKS	= $(shell awk '/^\.SH/ { on = $$2 == "NAME"; next } on { \
	if (sub(/\\-.*/, "")) on = 0; gsub(/,/, ""); n = split(FILENAME, part, /[\/.]/); \
	for (i = 1; i <= NF; i++) if ($$i != part[n - 1]) \
		print "man" part[n] "/" $$i "." part[n] ":" part[n - 1] "." part[n] }' $(MAN_PAGES))
COMPLETIONS	:= $(wildcard tools/completion/*)
UDEV_RULES	:= $(wildcard tools/udev/*.rules)
HEADERS		:= $(wildcard include/hmem/*.h)
TEMPLATE	= sed -e 's|@prefix@|$(prefix)|' -e 's|@libdir@|$(libdir)|' \
		      -e 's|@includedir@|$(includedir)|' -e 's|@version@|$(HMEM_RELEASE)|'
LIB_FILE	:= libhmem.so.$(HMEM_RELEASE)

install: lib $(BUILD)/install/hmemctl ## under $(DESTDIR)$(prefix): library, headers, hmemctl, man pages, DKMS tree
	$(INSTALL) -d $(addprefix $(DESTDIR),$(bindir) $(libdir)/pkgconfig $(includedir)/hmem \
		$(includedir)/linux $(mandir) $(completiondir) $(udevdir) $(dkmsdir)/include)
	$(INSTALL) -m 755 $(BUILD)/install/hmemctl $(DESTDIR)$(bindir)/hmemctl
	$(INSTALL) -m 644 $(LIB_SO) $(DESTDIR)$(libdir)/$(LIB_FILE)
	ln -sf $(LIB_FILE) $(DESTDIR)$(libdir)/libhmem.so.0
	ln -sf libhmem.so.0 $(DESTDIR)$(libdir)/libhmem.so
	$(INSTALL) -m 644 $(BUILD)/libhmem.a $(PRELOAD_SO) $(DESTDIR)$(libdir)
	$(INSTALL) -m 644 $(HEADERS) $(DESTDIR)$(includedir)/hmem
	$(INSTALL) -m 644 include/uapi/linux/hmem.h $(DESTDIR)$(includedir)/linux
	$(TEMPLATE) lib/libhmem.pc.in >$(DESTDIR)$(libdir)/pkgconfig/libhmem.pc
	for page in $(MAN_PAGES); do \
		$(INSTALL) -D -m 644 $$page $(DESTDIR)$(mandir)/man$${page##*.}/$${page##*/} || exit; \
	done
	for link in $(MAN_LINKS); do \
		ln -sf $${link#*:} $(DESTDIR)$(mandir)/$${link%:*} || exit; done
	for file in $(COMPLETIONS); do \
		$(INSTALL) -m 644 $$file $(DESTDIR)$(completiondir) || exit; done
	for file in $(UDEV_RULES); do $(INSTALL) -m 644 $$file $(DESTDIR)$(udevdir) || exit; done
	cp -r kmod Kbuild version.mk $(DESTDIR)$(dkmsdir)
	cp -r include/uapi $(DESTDIR)$(dkmsdir)/include
	$(TEMPLATE) dkms.conf.in >$(DESTDIR)$(dkmsdir)/dkms.conf
	$(if $(DESTDIR),,if [ "$$(id -u)" -eq 0 ]; then ldconfig; fi)

uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(bindir)/hmemctl $(DESTDIR)$(libdir)/pkgconfig/libhmem.pc \
		$(addprefix $(DESTDIR)$(libdir)/,$(LIB_FILE) libhmem.so.0 libhmem.so libhmem.a libhmem-malloc.so) \
		$(addprefix $(DESTDIR)$(includedir)/hmem/,$(notdir $(HEADERS))) \
		$(DESTDIR)$(includedir)/linux/hmem.h \
		$(foreach page,$(MAN_PAGES),$(DESTDIR)$(mandir)/man$(subst .,,$(suffix $(page)))/$(notdir $(page))) \
		$(foreach link,$(MAN_LINKS),$(DESTDIR)$(mandir)/$(firstword $(subst :, ,$(link)))) \
		$(addprefix $(DESTDIR)$(completiondir)/,$(notdir $(COMPLETIONS))) \
		$(addprefix $(DESTDIR)$(udevdir)/,$(notdir $(UDEV_RULES)))
	rm -rf $(DESTDIR)$(dkmsdir)
	-rmdir $(DESTDIR)$(includedir)/hmem
	$(if $(DESTDIR),,if [ "$$(id -u)" -eq 0 ]; then ldconfig; fi)

help: ## this list
	@echo 'make TARGET, where TARGET is one of'
	@sed -n 's/^\([a-z%-]*\):[^#]* ## \(.*\)/  \1\t\2/p' $(filter-out %.d,$(MAKEFILE_LIST)) | \
		sed 's/%/NAME/' | expand -t 20
	@echo 'Variables: BUILD=$(BUILD) (what is built goes there), KDIR= (kernel headers), CC=,'
	@echo 'CFLAGS=, V=1 (show commands), prefix=$(prefix), DESTDIR=, HMEM_CACHE= (where the image for guests is kept)'

-include $(LIB_OBJ:.o=.d) $(PRELOAD_OBJ:.o=.d) $(TOOLS_OBJ:.o=.d) $(TIER_GUEST_OBJ:.o=.d) $(addsuffix .d,$(EXAMPLES) $(TESTS) $(BENCHES))

FORCE:
.PHONY: all lib tools examples selftests guest-tests preload-tests benches kmod kmod-inject kmod-if-headers deps clean demo demo-host \
	check check-long check-sanitize check-static check-kasan crash crash-long mutants fuzz fuzz-deps fuzz-ioctl torture torture-shelf torture-deaths torture-overlaps power-cut bench install uninstall help FORCE
