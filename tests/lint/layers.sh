#!/bin/sh
# Proves that the rooms of src/ depend downwards only (src/LAYERS) and that each foreign library stays in its room.
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

# The line without comments; `within` remembers an open one. Texts in quotes go too, but for an include.
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

function check_own(path,    target) {
    target = path
    if (!sub(/\/.*/, "", target) || path ~ /\.\./) {
        fault("#include \"" path "\": name the room, as \"base/buf.h\"")
    } else if (!(target in allowed)) {
        fault("#include \"" path "\": there is no room " target "/ in src/LAYERS")
    } else if (target != room && !index(allowed[room], " " target " ")) {
        fault("#include \"" path "\": " room "/ lies below " target "/ or beside it")
    }
}

function check_foreign(path) {
    if (path ~ /^uv(\.h|\/)/ && room != "event") {
        fault("#include <" path ">: only event/ knows libuv")
    }
    if (path ~ /^(lua|lualib|lauxlib|luajit)\.h$/ && room != "lua" && room != "testkit") {
        fault("#include <" path ">: only lua/ knows Lua")
    }
    if (path ~ /^llhttp\.h$/ && room != "http") {
        fault("#include <" path ">: only http/ knows llhttp")
    }
    if (path ~ /^zlib\.h$/ && room != "http") {
        fault("#include <" path ">: only http/ knows zlib")
    }
    if (path ~ /^(ares\.h|openssl\/ssl\.h)$/ && room != "event") {
        fault("#include <" path ">: only event/ knows c-ares and TLS")
    }
    if (path ~ /^sqlite3\.h$/ && room != "store") {
        fault("#include <" path ">: only store/ knows SQLite")
    }
}

FILENAME == src "/LAYERS" {
    if ($0 !~ /^#/ && NF > 0) {
        name = $1
        sub(/:.*/, "", name)
        rest = $0
        sub(/^[^:]*:/, "", rest)
        allowed[name] = " " rest " "
    }
    next
}

FNR == 1 {
    within = 0
    count = split(FILENAME, part, "/")
    room = part[count - 1]
    if (!(room in allowed)) fault("there is no room " room "/ in src/LAYERS")
}

/^[ \t]*#[ \t]*include/ {
    path = $0
    if (path ~ /"/) {
        gsub(/^[^"]*"|".*$/, "", path)
        check_own(path)
    } else {
        gsub(/^[^<]*<|>.*$/, "", path)
        check_foreign(path)
    }
    next
}

{
    text = code($0)
    if (room != "event" && text ~ /(^|[^A-Za-z0-9_])uv_[a-z]/) fault("only event/ says uv_")
    if (room != "lua" && room != "testkit" && text ~ /(^|[^A-Za-z0-9_])lua_State/) fault("only lua/ says lua_State")
}

END { exit bad }
' "$src/LAYERS" $(find "$src" -mindepth 2 -name '*.[ch]' | sort)
