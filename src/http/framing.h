// http/framing.h: what a message's fields say of its body and its connection.
#pragma once

#include "http/message.h"

// Reads Content-Length, Transfer-Encoding, Host, Connection and Expect of `h`, whose method, minor,
// target and fields are set; fills framing, length, host, keep_alive and expect_continue. A status
// of 0 is good; else the refusal (RFC 9112 section 6.3, 3.2, RFC 9110 section 10.1.1) without any
// of the lenient readings that section 6 allows: a gateway that guesses is a smuggler's tool.
mg_refusal mg_framing_of(mg_head *h);

// The same of a response (RFC 9112 section 6.3), whose status, minor and fields are set; `to_head`:
// it answers a HEAD request, and has no content whatever it says. A refusal's status only says that
// there is one; its reason is for the log.
mg_refusal mg_framing_of_response(mg_response *r, bool to_head);
