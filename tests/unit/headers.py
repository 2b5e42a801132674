"""A small tree of policy headers, with a Makefile and macros that do what a distribution's do."""

from __future__ import annotations

from pathlib import Path

MAKEFILE = """\
include $(HEADERDIR)/build.conf
M4 ?= m4
TYPE ?= standard
CHECKMODULE = checkmodule $(if $(filter mls mcs,$(TYPE)),-M)
M4PARAM = $(if $(filter mls mcs,$(TYPE)),-D enable_$(TYPE)) $(if $(DISTRO),-D distro_$(DISTRO))
M4PARAM += $(if $(filter y,$(DIRECT_INITRC)),-D direct_sysadm_daemon)
M4PARAM += $(if $(filter y,$(UBAC)),-D enable_ubac)
M4PARAM += -D mls_num_sens=$(MLS_SENS) -D mls_num_cats=$(MLS_CATS) -D mcs_num_cats=$(MCS_CATS)
m4support = $(wildcard $(HEADERDIR)/support/*.spt)
layers = $(filter-out $(HEADERDIR)/support,$(wildcard $(HEADERDIR)/*))
header_ifs = $(foreach layer,$(layers),$(wildcard $(layer)/*.if))

tmp/all_interfaces.conf: $(m4support) $(header_ifs) $(patsubst %.te,%.if,$(wildcard *.te))
	@mkdir -p tmp
	(echo 'divert(-1)'; $(M4) $^ | sed 's/dollarsstar/$$*/g'; echo divert) > $@

tmp/%.mod: $(m4support) tmp/all_interfaces.conf %.te
	$(M4) $(M4PARAM) -s $^ > tmp/$*.tmp
	$(CHECKMODULE) -m tmp/$*.tmp -o $@

tmp/%.mod.fc: $(m4support) %.fc
	$(M4) $(M4PARAM) $^ > $@

%.pp: tmp/%.mod tmp/%.mod.fc
	semodule_package -o $@ -m $< -f $<.fc
"""

DEBIAN = """\
TYPE ?= mcs
NAME ?= default
DISTRO ?= debian
DIRECT_INITRC ?= y
SYSTEMD ?= y
CUSTOM_BUILDOPT ?=
override UBAC := y
override MLS_SENS := 16
override MLS_CATS := 1024
override MCS_CATS := 1024
"""
"""How Debian's policy is built, which its build.conf says."""

CENTOS = """\
TYPE ?= mcs
NAME ?= targeted
DISTRO ?= redhat
DIRECT_INITRC ?= n
override UBAC := n
override MLS_SENS := 16
override MLS_CATS := 1024
override MCS_CATS := 1024
"""
"""How CentOS's policy is built."""

SYSTEMD = """\
M4PARAM += $(if $(filter y,$(SYSTEMD)),-D init_systemd)
M4PARAM += $(foreach opt,$(CUSTOM_BUILDOPT),-D $(opt))
"""
"""What only Debian's Makefile has."""

SYMPTOMS = "M4PARAM += -D hide_broken_symptoms\n"
"""What only Red Hat's Makefile has."""

MACROS = """\
define(`interface',`define(`$1',__file__:__line__)`define(`$1',`# begin $1(dollarsstar)
$2')'')
define(`template',defn(`interface'))
define(`policy_module',`module $1 $2; require { role r; all_kernel_class_perms
ifdef(`enable_mcs',`sensitivity s0; category c0; category c`'decr(mcs_num_cats);') }')
define(`gen_require',`require { $1 }')
define(`gen_context',`$1`'ifdef(`enable_mcs',`:s0')')
define(`optional_policy',`optional { $1 }')
define(`tunable_policy',`if ($1) { $2 }')
define(`refpolicywarn',`errprint(`Warning: $1
')')
define(`gen_tunable',`bool $1 $2;')
define(`read_file_perms',`{ getattr open read }')
define(`all_kernel_class_perms',`class file { getattr open read write }; \
class process { signal transition };')
"""

FILES = """\
## <summary>Files that everybody has.</summary>

########################################
## <summary>
##	Read files
##	in /etc.
## </summary>
## <param name="domain">
##	<summary>Who may.</summary>
## </param>
#
interface(`files_read_etc_files',`
	gen_require(`
		type etc_t;
	')

	allow $1 etc_t:file read_file_perms;
')

########################################
## <summary>Old name.</summary>
## <param name="domain"><summary>Who may.</summary></param>
#
interface(`files_read_config',`
	refpolicywarn(`$0($*) has been deprecated, please use files_read_etc_files() instead.')
	files_read_etc_files($1)
')

########################################
## <summary>Make files of a type.</summary>
## <param name="domain"><summary>Who may.</summary></param>
## <param name="type"><summary>Their type.</summary></param>
## <param name="name" optional="true"><summary>Their name.</summary></param>
#
interface(`files_etc_filetrans',`
	gen_require(`
		type etc_t;
	')

	type_transition $1 etc_t:file $2 $3;
')

interface(`files_broken',`
	files_no_such_interface($1)
')
"""

CONTAINER = """\
## <summary>Containers.</summary>

#######################################
## <summary>A domain for a container.</summary>
## <param name="prefix"><summary>What its name begins with.</summary></param>
#
template(`container_domain_template',`
	gen_require(`
		attribute domain;
	')

	type $1_t, domain;
	role r types $1_t;
	optional_policy(`
		gen_require(`
			type shared_t;
		')
		dontaudit $1_t shared_t:file *;
	')
	tunable_policy(`shiny',`
		allow $1_t self:process ~{ signal };
	')
')
"""


def write_headers(headers: Path, settings: str = DEBIAN) -> None:
    """Write the tree below `headers`, where a base policy has its own."""
    for name, text in (
        ("Makefile", MAKEFILE + (SYSTEMD if settings == DEBIAN else SYMPTOMS)),
        ("build.conf", settings),
        ("support/macros.spt", MACROS),
        ("kernel/files.if", FILES),
        ("services/container.if", CONTAINER),
    ):
        path = headers / "include" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
