#!/bin/sh
# Proves that the rooms of src/ depend downwards only and that what is fenced in stays there, both as src/LAYERS says.
# Prints file:line for each fault; quiet when good. Usage: layers.sh [FOLDER], default src.
set -eu
cd "$(dirname "$0")/../.."
src=${1:-src}

# shellcheck disable=SC2046 # names of sources hold no spaces
exec awk -v src="$src" '
function fault(text) {
    printf "%s:%d: %s\n", FILENAME, FNR, text
    bad = 1
}

# The line without comments; `within` remembers an open one. Texts in quotes go too.
function code(line,    out, at) {
    out = ""
    while (line != "") {
        if (within) {
            at = index(line, "*/")
            if (at == 0) return out
            line = substr(line, at + 2)
            within = 0
        } else if (match(line, /\/\/|\/\*|"/)) {
            out = out substr(line, 1, RSTART - 1)
            at = substr(line, RSTART, RLENGTH)
            line = substr(line, RSTART + RLENGTH)
            if (at == "//") return out
            if (at == "/*") within = 1
            if (at == "\"") {
                if (!match(line, /^([^"\\]|\\.)*"/)) return out
                out = out "\"\""
                line = substr(line, RLENGTH + 1)
            }
        } else {
            return out line
        }
    }
    return out
}

# Whether the file or its room is one of `names`, as "event/tls* base/crypto".
function is_one_of(names,    name, n, i) {
    n = split(names, name, " ")
    for (i = 1; i <= n; i++) {
        if (name[i] == room || fits(room "/" file, name[i])) return 1
    }
    return 0
}

# `pattern` may end with a star.
function fits(text, pattern) {
    if (sub(/\*$/, "", pattern)) return substr(text, 1, length(pattern)) == pattern
    return text == pattern
}

function says(text, word) {
    if (sub(/\*$/, "", word)) return text ~ ("(^|[^A-Za-z0-9_])" word "[a-z]")
    return text ~ ("(^|[^A-Za-z0-9_])" word "([^A-Za-z0-9_]|$)")
}

function check_room(path,    target) {
    target = path
    if (!sub(/\/.*/, "", target) || path ~ /\.\./) {
        fault("#include \"" path "\": name the room, as \"base/buf.h\"")
    } else if (!(target in allowed)) {
        fault("#include \"" path "\": there is no room " target "/ in src/LAYERS")
    } else if (target != room && !index(allowed[room], " " target " ")) {
        fault("#include \"" path "\": " room "/ lies below " target "/ or beside it")
    }
}

# `included` is a path with its quotes or brackets.
function check_included(included,    i) {
    for (i = 1; i <= fences; i++) {
        if (fenced[i] ~ /^[<"]/ && fits(included, inner(fenced[i])) && !is_one_of(within_fence[i])) {
            fault("#include " included ": only " within_fence[i] " may")
        }
    }
}

# <uv/*> without what closes it, if a star stands there.
function inner(pattern) {
    sub(/\*[>"]$/, "*", pattern)
    return pattern
}

function check_said(text,    i) {
    for (i = 1; i <= fences; i++) {
        if (fenced[i] !~ /^[<"]/ && says(text, fenced[i]) && !is_one_of(within_fence[i])) {
            fault("only " within_fence[i] " may say " fenced[i])
        }
    }
}

FILENAME == src "/LAYERS" {
    if ($0 ~ /^#/ || NF == 0) next
    name = $0
    sub(/:.*/, "", name)
    rest = $0
    sub(/^[^:]*:/, "", rest)
    if (sub(/^only /, "", name)) {
        n = split(rest, patterns, " ")
        for (i = 1; i <= n; i++) {
            fenced[++fences] = patterns[i]
            within_fence[fences] = name
        }
    } else {
        allowed[name] = " " rest " "
    }
    next
}

FNR == 1 {
    within = 0
    count = split(FILENAME, part, "/")
    room = part[count - 1]
    file = part[count]
    sub(/\.[ch]$/, "", file)
    if (!(room in allowed)) fault("there is no room " room "/ in src/LAYERS")
}

/^[ \t]*#[ \t]*include/ {
    path = $0
    gsub(/^[^<"]*|[^>"]*$/, "", path)
    check_included(path)
    if (path ~ /^"/) {
        gsub(/"/, "", path)
        check_room(path)
    }
    next
}

{ check_said(code($0)) }

END { exit bad }
' "$src/LAYERS" $(find "$src" -mindepth 2 -name '*.[ch]' | sort)
