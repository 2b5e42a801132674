#!/bin/sh
# Makes a shell on the serial console quiet: no echo, a plain prompt, no history, and no kernel messages
# except emergencies. It is one line because selab types it into that shell.
#
# Arguments: none.
# Prints: nothing.
# Exit codes: those of dmesg.

stty -echo -onlcr; PS1='# '; PROMPT_COMMAND=; unset HISTFILE; dmesg -n 1
