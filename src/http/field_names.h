// http/field_names.h: the names of fields that are known by a small number. For http/fields alone.
//
// Each with its first and last letter in lower case, which with its length find it.
#pragma once

#define MG_FIELD_NAMES(X)                                                                          \
    X(ACCEPT, "Accept", 'a', 't')                                                                  \
    X(ACCEPT_ENCODING, "Accept-Encoding", 'a', 'g')                                                \
    X(ACCEPT_LANGUAGE, "Accept-Language", 'a', 'e')                                                \
    X(ACCEPT_RANGES, "Accept-Ranges", 'a', 's')                                                    \
    X(AGE, "Age", 'a', 'e')                                                                        \
    X(ALLOW, "Allow", 'a', 'w')                                                                    \
    X(ALT_SVC, "Alt-Svc", 'a', 'c')                                                                \
    X(AUTHORIZATION, "Authorization", 'a', 'n')                                                    \
    X(CACHE_CONTROL, "Cache-Control", 'c', 'l')                                                    \
    X(CONNECTION, "Connection", 'c', 'n')                                                          \
    X(CONTENT_DISPOSITION, "Content-Disposition", 'c', 'n')                                        \
    X(CONTENT_ENCODING, "Content-Encoding", 'c', 'g')                                              \
    X(CONTENT_LANGUAGE, "Content-Language", 'c', 'e')                                              \
    X(CONTENT_LENGTH, "Content-Length", 'c', 'h')                                                  \
    X(CONTENT_LOCATION, "Content-Location", 'c', 'n')                                              \
    X(CONTENT_RANGE, "Content-Range", 'c', 'e')                                                    \
    X(CONTENT_TYPE, "Content-Type", 'c', 'e')                                                      \
    X(COOKIE, "Cookie", 'c', 'e')                                                                  \
    X(DATE, "Date", 'd', 'e')                                                                      \
    X(EARLY_DATA, "Early-Data", 'e', 'a')                                                          \
    X(ETAG, "ETag", 'e', 'g')                                                                      \
    X(EXPECT, "Expect", 'e', 't')                                                                  \
    X(EXPIRES, "Expires", 'e', 's')                                                                \
    X(FORWARDED, "Forwarded", 'f', 'd')                                                            \
    X(HOST, "Host", 'h', 't')                                                                      \
    X(HTTP2_SETTINGS, "HTTP2-Settings", 'h', 's')                                                  \
    X(IF_MATCH, "If-Match", 'i', 'h')                                                              \
    X(IF_MODIFIED_SINCE, "If-Modified-Since", 'i', 'e')                                            \
    X(IF_NONE_MATCH, "If-None-Match", 'i', 'h')                                                    \
    X(IF_RANGE, "If-Range", 'i', 'e')                                                              \
    X(IF_UNMODIFIED_SINCE, "If-Unmodified-Since", 'i', 'e')                                        \
    X(KEEP_ALIVE, "Keep-Alive", 'k', 'e')                                                          \
    X(LAST_MODIFIED, "Last-Modified", 'l', 'd')                                                    \
    X(LINK, "Link", 'l', 'k')                                                                      \
    X(LOCATION, "Location", 'l', 'n')                                                              \
    X(ORIGIN, "Origin", 'o', 'n')                                                                  \
    X(PRAGMA, "Pragma", 'p', 'a')                                                                  \
    X(PRIORITY, "Priority", 'p', 'y')                                                              \
    X(PROXY_AUTHENTICATE, "Proxy-Authenticate", 'p', 'e')                                          \
    X(PROXY_AUTHORIZATION, "Proxy-Authorization", 'p', 'n')                                        \
    X(PROXY_CONNECTION, "Proxy-Connection", 'p', 'n')                                              \
    X(RANGE, "Range", 'r', 'e')                                                                    \
    X(REFERER, "Referer", 'r', 'r')                                                                \
    X(RETRY_AFTER, "Retry-After", 'r', 'r')                                                        \
    X(SEC_WEBSOCKET_ACCEPT, "Sec-WebSocket-Accept", 's', 't')                                      \
    X(SEC_WEBSOCKET_EXTENSIONS, "Sec-WebSocket-Extensions", 's', 's')                              \
    X(SEC_WEBSOCKET_KEY, "Sec-WebSocket-Key", 's', 'y')                                            \
    X(SEC_WEBSOCKET_PROTOCOL, "Sec-WebSocket-Protocol", 's', 'l')                                  \
    X(SEC_WEBSOCKET_VERSION, "Sec-WebSocket-Version", 's', 'n')                                    \
    X(SERVER, "Server", 's', 'r')                                                                  \
    X(SET_COOKIE, "Set-Cookie", 's', 'e')                                                          \
    X(STRICT_TRANSPORT_SECURITY, "Strict-Transport-Security", 's', 'y')                            \
    X(TE, "TE", 't', 'e')                                                                          \
    X(TRACEPARENT, "Traceparent", 't', 't')                                                        \
    X(TRACESTATE, "Tracestate", 't', 'e')                                                          \
    X(TRAILER, "Trailer", 't', 'r')                                                                \
    X(TRANSFER_ENCODING, "Transfer-Encoding", 't', 'g')                                            \
    X(UPGRADE, "Upgrade", 'u', 'e')                                                                \
    X(USER_AGENT, "User-Agent", 'u', 't')                                                          \
    X(VARY, "Vary", 'v', 'y')                                                                      \
    X(VIA, "Via", 'v', 'a')                                                                        \
    X(WWW_AUTHENTICATE, "WWW-Authenticate", 'w', 'e')                                              \
    X(X_ACCEL_BUFFERING, "X-Accel-Buffering", 'x', 'g')                                            \
    X(X_FORWARDED_FOR, "X-Forwarded-For", 'x', 'r')                                                \
    X(X_FORWARDED_HOST, "X-Forwarded-Host", 'x', 't')                                              \
    X(X_FORWARDED_PROTO, "X-Forwarded-Proto", 'x', 'o')                                            \
    X(X_REQUEST_ID, "X-Request-ID", 'x', 'd')
