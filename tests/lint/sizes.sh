#!/bin/sh
# The walls of what a reader has to hold in mind: lines of files (.c and .lua 700, .h 150, a rig of tests 300) and of
# functions (70).
# Prints file:line for each fault; quiet when good. Usage: sizes.sh [FOLDER...], default what lies in the tree.
#
# Functions are told by their form: clang-format and luacheck's width keep it. A describe of specs is no function.
set -eu
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- src lua spec tests conf

# shellcheck disable=SC2046 # names of sources hold no spaces
exec awk '
function fault(line, text) {
    printf "%s:%d: %s\n", name, line, text
    bad = 1
}

function end_file() {
    wall = name !~ /\.h$/ ? 700 : name ~ /(^|\/)tests\// ? 300 : 150
    if (lines > wall) fault(lines, lines " lines, " wall " is the wall")
}

function check_function(from, to) {
    if (to - from + 1 > 70) fault(from, "a function of " to - from + 1 " lines, 70 is the wall")
}

# A head that begins in the first column and ends with a brace: of a function if it has a parenthesis and no "=".
function c_line() {
    if ($0 ~ /^[A-Za-z_]/ && !open) {
        open = FNR
        head = ""
    }
    if (open && !inside) {
        head = head $0
        if ($0 ~ /;$/) open = 0
        else if ($0 ~ /\{$/) inside = head ~ /\(/ && head !~ /=|^(struct|enum|union|typedef)/ ? 2 : 1
    }
    if ($0 ~ /^\}/) {
        if (inside == 2) check_function(open, FNR)
        open = inside = 0
    }
}

# What a line opens ends with the first "end" of the same indent.
function lua_line(    line, indent) {
    line = $0
    gsub(/"([^"\\]|\\.)*"|--.*/, "", line)
    match(line, /^ */)
    indent = RLENGTH
    if (line ~ /^ *end/ && indent in opened) {
        check_function(opened[indent], FNR)
        delete opened[indent]
    } else if (line ~ /(^|[^A-Za-z_])function[ (]/ && line !~ /(describe\(|[^A-Za-z_]end[^A-Za-z_]*$)/) {
        opened[indent] = FNR
    }
}

FNR == 1 {
    if (name != "") end_file()
    name = FILENAME
    open = inside = 0
    split("", opened)
}

{ lines = FNR }
FILENAME ~ /\.[ch]$/ { c_line() }
FILENAME ~ /\.lua$/ { lua_line() }

END {
    if (name != "") end_file()
    exit bad
}' $(find "$@" -name '*.[ch]' -o -name '*.lua' | sort) /dev/null
