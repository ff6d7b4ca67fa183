// http/h1_read.h: reads the head of an HTTP/1.x request (RFC 9112).
//
// Bytes go in as they come; the head is gathered in the arena (http/h1_section) and judged in one
// piece, so that fields point into stable memory and a split input cannot give other results than a
// whole one.
#pragma once

#include "http/h1_section.h"

// Lives inside its owner.
typedef struct mg_h1_reader {
    mg_h1_section section;
    bool line_checked;
    bool told; // of a refused request: what it is is known all the same
    mg_refusal refusal;
    mg_str method_text; // of a refused request, for the log; else see the head
    mg_str target_text;
} mg_h1_reader;

typedef enum mg_h1_verdict { MG_H1_MORE, MG_H1_HEAD, MG_H1_BAD } mg_h1_verdict;

// `arena` is borrowed and holds the head.
void mg_h1_reader_init(mg_h1_reader *r, mg_arena *arena, const mg_guard_limits *limits);

// Takes up to `n` bytes. MG_H1_MORE: all were taken. MG_H1_HEAD: `*head` is filled, and `*used`
// bytes belonged to it. MG_H1_BAD: `r->refusal` says what to answer; the connection cannot be used
// for another request. If `r->told`, `*head` is filled besides with what came whole: only its size
// (431) or its expectation (417) is refused, and somebody may answer who knows the request.
mg_h1_verdict mg_h1_read(mg_h1_reader *r, const char *data, size_t n, size_t *used, mg_head *head);
