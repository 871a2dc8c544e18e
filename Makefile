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
udevdir		?= /usr/lib/udev/rules.d
dkmsdir		?= /usr/src/hmem-$(HMEM_RELEASE)

.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

# --- flags ---------------------------------------------------------------------------

WARNINGS	:= -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Werror
BASE_CFLAGS	:= -std=gnu11 $(WARNINGS) -Iinclude -Iinclude/uapi -pthread
DEPFLAGS	= -MMD -MP
ifdef SANITIZE
SANITIZER	:= -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
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
	mkdir -p $@

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
	$(COMPILE) $(LIB_CFLAGS) -c -o $@ $<

$(LIB_SO): $(LIB_OBJ) $(LIB_MAP) $(FLAGS_STAMP)
	$(LINK) -shared -Wl,-soname,libhmem.so.0 $(NO_UNDEFINED) \
		$(LIB_MAP:%=-Wl,--version-script=%) -o $@ $(LIB_OBJ) $(LIBHMEM_LIBS)

$(BUILD)/libhmem.so: $(LIB_SO)
	ln -sf $(<F) $@

$(BUILD)/libhmem.a: $(LIB_OBJ)
	rm -f $@
	$(AR) rcs $@ $^

lib: $(if $(LIB_SRC),$(LIB_SO) $(BUILD)/libhmem.so $(BUILD)/libhmem.a)

# --- hmemctl -------------------------------------------------------------------------

-include tools/Makefile.inc

HMEMCTL_PKGS	?= json-c libcxl libdaxctl libkmod
HMEMCTL_CFLAGS	?= $(shell $(PKG_CONFIG) --silence-errors --cflags $(HMEMCTL_PKGS))
HMEMCTL_LIBS	?= $(shell $(PKG_CONFIG) --silence-errors --libs $(HMEMCTL_PKGS))

TOOLS_SRC	:= $(wildcard tools/*.c)
TOOLS_OBJ	:= $(TOOLS_SRC:%.c=$(BUILD)/obj/%.o)

$(BUILD)/obj/tools/%.o: tools/%.c $(FLAGS_STAMP)
	@mkdir -p $(@D)
	$(COMPILE) -D_GNU_SOURCE -DHMEM_VERSION_STRING='"$(HMEM_RELEASE)"' \
		$(HMEMCTL_CFLAGS) -c -o $@ $<

# The one in the build directory finds the library beside it; the installed one looks
# where the system does.
$(BUILD)/hmemctl: $(TOOLS_OBJ) $(BUILD)/libhmem.so
	$(LINK) -Wl,-rpath,'$$ORIGIN' -o $@ $(TOOLS_OBJ) -L$(BUILD) -lhmem $(HMEMCTL_LIBS)

$(BUILD)/install/hmemctl: $(TOOLS_OBJ) $(BUILD)/libhmem.so
	@mkdir -p $(@D)
	$(LINK) -o $@ $(TOOLS_OBJ) -L$(BUILD) -lhmem $(HMEMCTL_LIBS)

tools: $(if $(TOOLS_SRC),$(BUILD)/hmemctl)

# --- programs that link libhmem: examples, tests -------------------------------------

EXAMPLES	:= $(patsubst %.c,$(BUILD)/%,$(wildcard examples/*.c))
TESTS		:= $(patsubst %.c,$(BUILD)/%,$(wildcard selftests/host/*.c selftests/guest/*.c))

# Examples are built as a stranger's program would be: no define comes from here.
$(BUILD)/examples/%: examples/%.c $(BUILD)/libhmem.so $(FLAGS_STAMP)
	@mkdir -p $(@D)
	$(COMPILE) -MF $@.d -Wl,-rpath,'$$ORIGIN/..' $(LDFLAGS) -o $@ $< -L$(BUILD) -lhmem

$(BUILD)/selftests/%: selftests/%.c $(BUILD)/libhmem.so $(FLAGS_STAMP)
	@mkdir -p $(@D)
	$(COMPILE) -MF $@.d -D_GNU_SOURCE -Iselftests -Wl,-rpath,'$$ORIGIN/../..' $(LDFLAGS) \
		-o $@ $< -L$(BUILD) -lhmem

examples: $(EXAMPLES)
selftests: $(TESTS)

# --- hmem.ko -------------------------------------------------------------------------

KRELEASE	= $(shell cat $(KDIR)/include/config/kernel.release 2>/dev/null)
KSTAGE		= $(BUILD)/kmod/$(KRELEASE)

# The sources are copied so that builds for several kernels live side by side.
kmod:
	@if [ -z '$(KRELEASE)' ]; then \
		echo 'hmem.ko: no configured kernel headers in $(KDIR)' >&2; exit 1; fi
	@mkdir -p $(KSTAGE)/include
	@cp -rpu kmod Kbuild version.mk $(KSTAGE)/
	@cp -rpu include/uapi $(KSTAGE)/include/
	+$(MAKE) -C $(KDIR) M=$(abspath $(KSTAGE)) MAKEOVERRIDES= modules

# Part of plain `make` only where it can be built.
kmod-if-headers:
	+@if [ ! -e Kbuild ]; then :; \
	elif [ -z '$(KRELEASE)' ]; then \
		echo 'hmem.ko not built: no headers in $(KDIR) (make kmod KDIR=... names others)'; \
	elif ! printf '6.12\n%s\n' '$(KRELEASE)' | sort -VC; then \
		echo 'hmem.ko not built: the headers in $(KDIR) are of $(KRELEASE), older than 6.12'; \
	else $(MAKE) --no-print-directory kmod; fi

# --- everything ----------------------------------------------------------------------

all:
	+@$(MAKE) --no-print-directory lib tools examples selftests
	+@$(MAKE) --no-print-directory kmod-if-headers

clean:
	rm -rf $(BUILD)

-include $(LIB_OBJ:.o=.d) $(TOOLS_OBJ:.o=.d) $(EXAMPLES:=.d) $(TESTS:=.d)

FORCE:
.PHONY: all lib tools examples selftests kmod kmod-if-headers clean FORCE
