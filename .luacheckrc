std = "luajit"
max_line_length = 100
files["spec"] = { std = "+busted" }
files["tests"] = { std = "+busted" }
-- Declarations for the reference and for LuaLS: never run.
files["lua/moongate/template/spec"] = { std = "+busted" }
files["lua/moongate/api"] = { ignore = { "111", "112", "143", "211", "212", "221", "241" }, max_line_length = false }
