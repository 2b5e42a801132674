"""A small tree of policy headers, with a Makefile and macros that do what a distribution's do."""

from __future__ import annotations

from pathlib import Path

MAKEFILE = """\
M4 ?= m4
M4PARAM += -D enable_mcs
CHECKMODULE ?= checkmodule -M
m4support = $(wildcard $(HEADERDIR)/support/*.spt)

tmp/all_interfaces.conf: $(wildcard $(HEADERDIR)/*/*.if) $(patsubst %.te,%.if,$(wildcard *.te))
	@mkdir -p tmp
	(echo 'divert(-1)'; cat $^; echo 'divert(0)dnl') > $@
"""

MACROS = """\
define(`interface',`define(`$1',`$2')')
define(`template',`define(`$1',`$2')')
define(`policy_module',`module $1 $2; require { role r; all_kernel_class_perms }')
define(`gen_require',`require { $1 }')
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


def write_headers(headers: Path) -> None:
    """Write the tree below `headers`, where a base policy has its own."""
    for name, text in (
        ("Makefile", MAKEFILE),
        ("support/macros.spt", MACROS),
        ("kernel/files.if", FILES),
        ("services/container.if", CONTAINER),
    ):
        path = headers / "include" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
