--- Middleware that most services want: moongate.middleware.<name>(options).
return {
  request_id = require("moongate.middleware.request_id").new,
  cors = require("moongate.middleware.cors").new,
  secure_headers = require("moongate.middleware.secure_headers").new,
  https = require("moongate.middleware.https").new,
  basic_auth = require("moongate.middleware.basic_auth").new,
  body_limit = require("moongate.middleware.body_limit").new,
  response_time = require("moongate.middleware.response_time").new,
}
